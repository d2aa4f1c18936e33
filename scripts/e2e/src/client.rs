//! A client that looks every answer up in the API's document before a test sees it.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use serde::Serialize;
use serde_json::Value;

use crate::document::Document;

/// What a request carries.
pub use reqwest::Body;

/// Longer than any limit of a server.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Sends requests to one server. Clones share their connections, which belong to the runtime that made the first.
#[derive(Debug, Clone)]
pub struct Client {
    base_url: String,
    http: reqwest::Client,
    document: Option<Arc<Document>>,
}

/// A request.
#[derive(Debug)]
pub struct Call {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Call {
    /// A request without a body.
    #[must_use]
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        let method = method.to_ascii_uppercase();
        Self {
            method: method.parse().unwrap_or_default(),
            path: path.into(),
            headers: Vec::new(),
            body: Body::default(),
        }
    }

    /// A GET.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("get", path)
    }

    /// A POST without a body.
    #[must_use]
    pub fn post(path: impl Into<String>) -> Self {
        Self::new("post", path)
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds an access token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Adds the version that is to be changed.
    #[must_use]
    pub fn if_match(self, etag: &str) -> Self {
        self.header("if-match", etag)
    }

    /// Adds a body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Adds a JSON body.
    #[must_use]
    pub fn json(self, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default();
        self.body("application/json", body)
    }
}

impl Answer {
    /// A header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; `null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A member of the body that is a text; empty if there is none.
    #[must_use]
    pub fn text(&self, member: &str) -> String {
        let json = self.json();
        json[member].as_str().unwrap_or_default().to_owned()
    }

    /// The code of a problem document.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        let is_problem = self.header("content-type") == Some("application/problem+json");
        is_problem.then(|| self.text("code"))
    }

    /// The status, and the code of a problem: `409 sold-out`.
    #[must_use]
    pub fn outcome(&self) -> String {
        let status = self.status.as_u16();
        self.code()
            .map_or(status.to_string(), |code| format!("{status} {code}"))
    }

    /// The answer itself, if its outcome is this.
    ///
    /// # Panics
    ///
    /// If it is another one.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "often the outcome is all that is asked for"
    )]
    #[track_caller]
    pub fn expect(self, outcome: &str) -> Self {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.outcome(), outcome, "{body}");
        self
    }
}

impl Client {
    /// A client of the server at `base_url`, whose answers must be in `document`.
    pub fn new(base_url: &str, document: Arc<Document>) -> anyhow::Result<Self> {
        Ok(Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            http: builder().build()?,
            document: Some(document),
        })
    }

    /// A client of a socket's private routes, which no document describes.
    pub fn inside(socket: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            base_url: "http://localhost".to_owned(),
            http: builder().unix_socket(socket).build()?,
            document: None,
        })
    }

    /// The same client for another server with the same API.
    #[must_use]
    pub fn to(&self, base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            ..self.clone()
        }
    }

    /// Where the server is.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The API's document.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        self.document.as_deref()
    }

    /// Sends a request and checks the answer.
    ///
    /// # Panics
    ///
    /// If there is no answer, or one that the document does not list.
    pub async fn send(&self, call: Call) -> Answer {
        let (method, path) = (call.method.clone(), call.path.clone());
        match self.try_send(call).await {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path}: {error:#}"),
        }
    }

    /// As [`Client::send`], for a server that may have gone away.
    pub async fn try_send(&self, call: Call) -> anyhow::Result<Answer> {
        let (method, path) = (call.method.clone(), call.path.clone());
        let url = format!("{}{path}", self.base_url);
        let mut request = self.http.request(call.method, url).body(call.body);
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        let answer = Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await?,
        };
        if let Some(document) = &self.document {
            let checked = check(document, method.as_str(), &path, &answer);
            let body = String::from_utf8_lossy(&answer.body);
            checked.map_err(|error| anyhow::anyhow!("{error}: {} {body}", answer.status))?;
        }
        Ok(answer)
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
}

fn check(document: &Document, method: &str, path: &str, answer: &Answer) -> Result<(), String> {
    if let Some(operation) = document.find(method, path) {
        return document.check(operation, answer);
    }
    if path.starts_with("/health/") {
        return Ok(());
    }
    let outcome = answer.outcome();
    let expected = if document.knows(path) {
        "405 method-not-allowed"
    } else {
        "404 not-found"
    };
    if outcome != expected {
        return Err(format!("{outcome} where {expected} was due"));
    }
    let allow = answer.headers.contains_key(header::ALLOW);
    if allow == document.knows(path) {
        Ok(())
    } else {
        Err(format!("{outcome} with Allow: {allow}"))
    }
}
