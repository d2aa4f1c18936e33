//! An HTTP/1.1 client that costs little: thousands of buyers share a bounded number of connections.
//!
//! Ten thousand buyers and the system that they race against share two cores, so the client must not be what is measured.
//! It keeps its own pool, because a pool that opens a connection while it waits for another is not bounded.

use std::{sync::Mutex, time::Duration};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{net::TcpStream, sync::Semaphore};

/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// Sends requests to one server.
pub struct Client {
    /// `host:port`, to connect to.
    address: String,
    host: HeaderValue,
    /// What stands before every path; empty or without a slash at its end.
    prefix: String,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    sockets: Semaphore,
}

/// A request, which can be sent more than once.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    path: String,
    bearer: Option<HeaderValue>,
    body: Option<(&'static str, Bytes)>,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// A GET of `path`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into())
    }

    /// A POST to `path`, without a body.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path.into())
    }

    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            bearer: None,
            body: None,
        }
    }

    /// Adds the `Authorization` of a caller.
    #[must_use]
    pub fn bearer(mut self, value: &HeaderValue) -> Self {
        self.bearer = Some(value.clone());
        self
    }

    /// Adds a body.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = Some((content_type, body.into()));
        self
    }

    /// Adds a JSON body.
    #[must_use]
    pub fn json(self, body: &serde_json::Value) -> Self {
        self.body("application/json", body.to_string())
    }
}

impl Answer {
    /// Reads the body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        let text = || String::from_utf8_lossy(&self.body[..self.body.len().min(200)]).into_owned();
        serde_json::from_slice(&self.body).with_context(|| format!("unexpected answer: {}", text()))
    }

    /// The `code` of a problem document.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Problem {
            code: String,
        }
        let problem: Problem = serde_json::from_slice(&self.body).ok()?;
        Some(problem.code)
    }

    /// The status, and the problem's code if there is one: `409 sold-out`.
    #[must_use]
    pub fn outcome(&self) -> String {
        let status = self.status.as_u16();
        if self.status.is_success() {
            return status.to_string();
        }
        match self.problem() {
            Some(code) => format!("{status} {code}"),
            None => status.to_string(),
        }
    }

    /// What `Retry-After` asks for, in its form of seconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.headers.get(header::RETRY_AFTER)?;
        value.to_str().ok()?.parse().ok().map(Duration::from_secs)
    }

    /// The path of `Location`.
    #[must_use]
    pub fn location(&self) -> Option<String> {
        let uri: Uri = self
            .headers
            .get(header::LOCATION)?
            .to_str()
            .ok()?
            .parse()
            .ok()?;
        Some(uri.path_and_query()?.to_string())
    }

    /// The answer if its status is one of success, else what the server said.
    pub fn success(self, what: &str) -> anyhow::Result<Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        let body = String::from_utf8_lossy(&self.body);
        bail!("{what}: {} {body}", self.status.as_u16())
    }
}

impl Client {
    /// A client of the server at `base_url` that has at most `sockets` connections.
    pub fn new(base_url: &str, sockets: usize) -> anyhow::Result<Self> {
        let uri: Uri = base_url.parse().context("--base-url is not a URL")?;
        if uri.scheme_str() != Some("http") {
            bail!("--base-url must begin with http://, TLS is not spoken here");
        }
        let authority = uri.authority().context("--base-url names no host")?;
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            address: format!("{}:{port}", authority.host()),
            host: HeaderValue::from_str(authority.as_str())?,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            idle: Mutex::default(),
            sockets: Semaphore::new(sockets),
        })
    }

    /// Sends a request once and reads the whole answer. Waits for a free connection first.
    pub async fn send(&self, request: &Request) -> anyhow::Result<Answer> {
        let _socket = self.sockets.acquire().await?;
        let answer = tokio::time::timeout(TRY_TIMEOUT, self.exchange(request));
        answer.await.context("no answer in time")?
    }

    async fn exchange(&self, request: &Request) -> anyhow::Result<Answer> {
        // A server may close an idle connection at any time; that says nothing about the request.
        while let Some(mut connection) = self.pop() {
            if connection.ready().await.is_err() {
                continue;
            }
            match self.exchange_on(connection, request).await {
                Err(error) if was_not_sent(&error) => {}
                answer => return answer,
            }
        }
        let stream = TcpStream::connect(&self.address)
            .await
            .context("cannot connect")?;
        stream.set_nodelay(true)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        // Its error is the error of the request that is under way.
        tokio::spawn(driver);
        self.exchange_on(connection, request).await
    }

    async fn exchange_on(
        &self,
        mut connection: SendRequest<Full<Bytes>>,
        request: &Request,
    ) -> anyhow::Result<Answer> {
        let answer = connection.send_request(self.build(request)?).await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body
            .map_err(|error| anyhow::anyhow!(error))
            .context("the answer broke off")?;
        if !connection.is_closed() {
            lock(&self.idle).push(connection);
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    }

    fn build(&self, request: &Request) -> anyhow::Result<http::Request<Full<Bytes>>> {
        let mut builder = http::Request::builder()
            .method(&request.method)
            .uri(format!("{}{}", self.prefix, request.path))
            .header(header::HOST, &self.host);
        if let Some(bearer) = &request.bearer {
            builder = builder.header(header::AUTHORIZATION, bearer);
        }
        let body = match &request.body {
            Some((content_type, body)) => {
                builder = builder.header(header::CONTENT_TYPE, *content_type);
                body.clone()
            }
            None => Bytes::new(),
        };
        Ok(builder.body(Full::new(body))?)
    }

    fn pop(&self) -> Option<SendRequest<Full<Bytes>>> {
        lock(&self.idle).pop()
    }
}

fn was_not_sent(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<hyper::Error>();
    error.is_some_and(hyper::Error::is_canceled)
}

/// What a task that panicked left in the mutex is still whole: each holder does one push, pop or count.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::header::CONNECTION, routing::get};

    use super::*;
    use crate::testing::serve;

    #[tokio::test]
    async fn a_connection_that_the_server_closed_is_replaced() {
        let router = Router::new()
            .route("/p/kept", get(|| async { "kept" }))
            .route(
                "/p/closed",
                get(|| async { ([(CONNECTION, "close")], "closed") }),
            );
        let client = Client::new(&format!("{}/p/", serve(router).await), 1).unwrap();
        for path in ["/kept", "/closed", "/kept", "/kept", "/closed", "/closed"] {
            let answer = client.send(&Request::get(path)).await.unwrap();
            assert_eq!(answer.body, &path.as_bytes()[1..]);
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_error() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let client = Client::new(&base, 1).unwrap();
        assert!(client.send(&Request::get("/")).await.is_err());
    }

    #[test]
    fn only_plain_http_is_spoken() {
        for base in [
            "https://example.org",
            "example.org",
            "ftp://example.org",
            "",
        ] {
            assert!(Client::new(base, 1).is_err(), "{base}");
        }
    }

    #[test]
    fn a_problem_document_names_its_outcome() {
        let answer = |status, body: &'static str| Answer {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
        };
        let sold_out = answer(StatusCode::CONFLICT, r#"{"code":"sold-out","left":0}"#);
        assert_eq!(sold_out.outcome(), "409 sold-out");
        assert_eq!(answer(StatusCode::BAD_GATEWAY, "<html>").outcome(), "502");
        assert_eq!(answer(StatusCode::OK, "{}").outcome(), "200");
    }
}
