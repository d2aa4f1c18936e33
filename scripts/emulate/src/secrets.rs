//! Secrets Manager: `GetSecretValue`
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::{
    ACCOUNT, REGION,
    http::{Answer, json_answer},
};

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// The secrets, by ARN.
#[derive(Default)]
pub struct Secrets {
    texts: BTreeMap<String, String>,
}

impl Secrets {
    /// Keeps a secret; its ARN.
    pub fn add(&mut self, name: &str, text: String) -> String {
        let arn = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:spike/{name}-AbCdEf");
        self.texts.insert(arn.clone(), text);
        arn
    }

    /// Answers a request.
    #[must_use]
    pub fn answer(&self, request: &Request<Bytes>) -> Answer {
        let target = request.headers().get("x-amz-target");
        if target.is_none_or(|it| it != "secretsmanager.GetSecretValue") {
            return error("InvalidRequestException");
        }
        let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let arn = asked["SecretId"].as_str().unwrap_or_default();
        match self.texts.get(arn) {
            Some(text) => {
                let body = json!({
                    "ARN": arn,
                    "Name": arn.rsplit(':').next(),
                    "SecretString": text,
                    "VersionId": "00000000-0000-0000-0000-000000000001",
                    "VersionStages": ["AWSCURRENT"],
                });
                json_answer(StatusCode::OK, CONTENT_TYPE, &body)
            }
            None => error("ResourceNotFoundException"),
        }
    }
}

fn error(kind: &str) -> Answer {
    let body = json!({ "__type": kind, "message": kind });
    json_answer(StatusCode::BAD_REQUEST, CONTENT_TYPE, &body)
}
