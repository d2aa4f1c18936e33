//! Lambda's provisioned concurrency, as far as `prewarm` asks for it
//! (<https://docs.aws.amazon.com/lambda/latest/api/API_PutProvisionedConcurrencyConfig.html>). It is noted, and starts nothing.

use std::{collections::BTreeMap, sync::Mutex};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
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

    /// Answers a request.
    #[must_use]
    pub fn answer(&self, request: &Request<Bytes>) -> Answer {
        let uri = request.uri();
        let name = uri.path().strip_prefix("/2019-09-30/functions/");
        let name = name.and_then(|rest| rest.strip_suffix("/provisioned-concurrency"));
        let mut functions = lock(&self.0);
        let Some(wanted) = name
            .filter(|_| uri.query() == Some(ALIAS))
            .and_then(|name| functions.get_mut(name))
        else {
            return refused("ResourceNotFoundException");
        };
        match *request.method() {
            Method::PUT => {
                let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
                let count = asked["ProvisionedConcurrentExecutions"].as_u64();
                *wanted = count.and_then(|it| u32::try_from(it).ok()).unwrap_or(0);
                shown(StatusCode::ACCEPTED, *wanted)
            }
            _ if *wanted == 0 => refused("ProvisionedConcurrencyConfigNotFoundException"),
            Method::GET => shown(StatusCode::OK, *wanted),
            Method::DELETE => {
                *wanted = 0;
                json_answer(StatusCode::NO_CONTENT, CONTENT_TYPE, &Value::Null)
            }
            _ => refused("ResourceNotFoundException"),
        }
    }
}

fn shown(status: StatusCode, wanted: u32) -> Answer {
    let body = json!({ "RequestedProvisionedConcurrentExecutions": wanted, "Status": "READY" });
    json_answer(status, CONTENT_TYPE, &body)
}

fn refused(error: &'static str) -> Answer {
    let body = json!({ "Type": "User", "Message": error });
    let mut answer = json_answer(StatusCode::NOT_FOUND, CONTENT_TYPE, &body);
    let headers = answer.headers_mut();
    headers.insert("x-amzn-errortype", HeaderValue::from_static(error));
    answer
}
