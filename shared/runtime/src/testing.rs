//! What the tests of functions share: a call of a router, and a look at its answer.
#![expect(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::unwrap_used,
    reason = "tests call this; what is not as expected panics"
)]

pub mod collector;
mod lines;

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

pub use lines::Lines;

use crate::{App, problem};

/// An answer with a JSON body.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Value,
}

/// Calls the app without a server.
pub async fn send(app: App, request: Request<Body>) -> Answer {
    let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap(),
    }
}

impl Answer {
    /// That this is the problem document of a code.
    pub fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.body["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.body
        );
        assert_eq!(self.headers[header::CONTENT_TYPE], problem::CONTENT_TYPE);
    }

    /// That this is a success that nobody keeps; its body.
    pub fn assert_json(&self) -> &Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(self.headers[header::CACHE_CONTROL], "no-store");
        &self.body
    }
}
