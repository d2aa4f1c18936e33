//! Lambda's provisioned concurrency, as far as `prewarm` asks for it
//! (<https://docs.aws.amazon.com/lambda/latest/api/API_PutProvisionedConcurrencyConfig.html>). It is noted, and starts nothing.

use std::{collections::BTreeMap, sync::Mutex};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    http::{Answer, json_answer},
    lambda::lock,
};

const CONTENT_TYPE: &str = "application/json";
/// The alias that `functions.tf` gives every function.
const ALIAS: &str = "Qualifier=live";

/// What was asked for, by function; 0 where nothing was.
pub struct Provisioned(Mutex<BTreeMap<String, u32>>);

impl Provisioned {
    /// These functions have none yet.
    pub fn new(functions: impl IntoIterator<Item = String>) -> Self {
        let functions = functions.into_iter().map(|name| (name, 0));
        Self(Mutex::new(functions.collect()))
    }

    /// What was asked for a function.
    #[must_use]
    pub fn of(&self, function: &str) -> Option<u32> {
        lock(&self.0).get(function).copied()
    }

    /// Answers a request.
    #[must_use]
    pub fn answer(&self, request: &Request<Bytes>) -> Answer {
        let signature = request.headers().get(header::AUTHORIZATION);
        let signature = signature
            .and_then(|it| it.to_str().ok())
            .unwrap_or_default();
        if !signature.starts_with("AWS4-HMAC-SHA256 ") || !signature.contains("/lambda/") {
            return refused(StatusCode::FORBIDDEN, "AccessDeniedException");
        }
        let uri = request.uri();
        let name = uri.path().strip_prefix("/2019-09-30/functions/");
        let name = name.and_then(|rest| rest.strip_suffix("/provisioned-concurrency"));
        let mut functions = lock(&self.0);
        let Some(wanted) = name
            .filter(|_| uri.query() == Some(ALIAS))
            .and_then(|name| functions.get_mut(name))
        else {
            return refused(StatusCode::NOT_FOUND, "ResourceNotFoundException");
        };
        match *request.method() {
            Method::PUT => {
                let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
                let count = asked["ProvisionedConcurrentExecutions"].as_u64();
                let count = count.and_then(|it| u32::try_from(it).ok());
                let Some(count) = count.filter(|it| *it > 0) else {
                    return refused(StatusCode::BAD_REQUEST, "InvalidParameterValueException");
                };
                *wanted = count;
                shown(StatusCode::ACCEPTED, *wanted)
            }
            _ if *wanted == 0 => refused(
                StatusCode::NOT_FOUND,
                "ProvisionedConcurrencyConfigNotFoundException",
            ),
            Method::GET => shown(StatusCode::OK, *wanted),
            Method::DELETE => {
                *wanted = 0;
                json_answer(StatusCode::NO_CONTENT, CONTENT_TYPE, &Value::Null)
            }
            _ => refused(StatusCode::NOT_FOUND, "ResourceNotFoundException"),
        }
    }
}

fn shown(status: StatusCode, wanted: u32) -> Answer {
    let body = json!({ "RequestedProvisionedConcurrentExecutions": wanted, "Status": "READY" });
    json_answer(status, CONTENT_TYPE, &body)
}

fn refused(status: StatusCode, error: &'static str) -> Answer {
    let body = json!({ "Type": "User", "Message": error });
    let mut answer = json_answer(status, CONTENT_TYPE, &body);
    let headers = answer.headers_mut();
    headers.insert("x-amzn-errortype", HeaderValue::from_static(error));
    answer
}
