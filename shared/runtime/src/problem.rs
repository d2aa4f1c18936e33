//! Problem documents: every answer that is not a success.
//!
//! Body, by RFC 9457, as `application/problem+json`:
//! `{"type":"/problems/not-enough","title":"Not enough units left","status":409,"code":"not-enough",
//! "detail":"..","left":1}`. A document never quotes the request or an internal error.

mod code;
mod log;

use std::{borrow::Cow, sync::LazyLock};

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use bytes::Bytes;
use serde_json::{Map, Value};

pub use code::Code;
pub use log::log;

/// The content type of problem documents.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The bodies of documents to which nothing was added: refusals are most of the traffic of a sale.
static PLAIN: LazyLock<Vec<Bytes>> =
    LazyLock::new(|| Code::all().map(|code| body(code, None, &[])).collect());

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    code: Code,
    detail: Option<Cow<'static, str>>,
    retry_after_secs: Option<u64>,
    location: Option<HeaderValue>,
    members: Vec<(&'static str, Value)>,
}

impl Problem {
    /// The plain document of a code; its `detail` is the code's meaning.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self {
            code,
            detail: None,
            retry_after_secs: None,
            location: None,
            members: Vec::new(),
        }
    }

    /// What is special about this one. Never put in what came with the request, or an error's text.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// When to come back. 425, 429 and 503 say one second if this is not called.
    #[must_use]
    pub fn retry_after_secs(mut self, secs: u64) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// Where to look instead. Text that cannot stand in a header is left out.
    #[must_use]
    pub fn location(mut self, location: impl TryInto<HeaderValue>) -> Self {
        self.location = location.try_into().ok();
        self
    }

    /// Adds an extension member, for example `left`.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((member, value.into()));
        self
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The document as it stands in the answer's body.
    #[must_use]
    pub fn body(&self) -> Bytes {
        if self.detail.is_none() && self.members.is_empty() {
            PLAIN[self.code as usize].clone()
        } else {
            body(self.code, self.detail.as_deref(), &self.members)
        }
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        let default_secs = self.code.always_retry_after().then_some(1);
        if let Some(secs) = self.retry_after_secs.or(default_secs) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if let Some(location) = self.location {
            headers.insert(header::LOCATION, location);
        }
        // RFC 9110 section 15.5.2: a 401 names the scheme.
        if self.code.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn body(code: Code, detail: Option<&str>, members: &[(&'static str, Value)]) -> Bytes {
    let mut document = Map::new();
    document.insert("type".into(), format!("/problems/{}", code.code()).into());
    document.insert("title".into(), code.title().into());
    document.insert("status".into(), code.status().as_u16().into());
    document.insert("code".into(), code.code().into());
    document.insert("detail".into(), detail.unwrap_or(code.meaning()).into());
    for (member, value) in members {
        document.insert((*member).to_owned(), value.clone());
    }
    Bytes::from(Value::Object(document).to_string())
}

#[cfg(test)]
mod tests;
