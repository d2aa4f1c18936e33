//! Where a broker delivers: a router of this process, or a URL.

use std::time::Duration;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use runtime::App;
use tower::ServiceExt;
use url::Url;

use super::Message;

/// How long a subscriber may take for one delivery.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// What is read of an answer's body, for the reason of a dead letter.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What came of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The subscriber has it.
    Done,
    /// It can never be handled: any 3xx, and any 4xx but 408, 425 and 429.
    Poison(String),
    /// Not now: 408, 425, 429, any 5xx, no connection, no answer in time.
    Again(String),
}

/// One address that takes deliveries, each as a `POST`.
#[derive(Clone)]
pub struct Subscriber(Address);

#[derive(Clone)]
enum Address {
    Inside(App, Uri),
    Outside(Box<Client<HttpConnector, Full<Bytes>>>, Uri),
}

impl Subscriber {
    /// A route of an app in this process.
    #[must_use]
    pub fn inside(app: App, path: &'static str) -> Self {
        Self(Address::Inside(app, Uri::from_static(path)))
    }

    /// An `http://` URL.
    pub fn outside(url: &Url) -> Result<Self, http::uri::InvalidUri> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(2)));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self(Address::Outside(
            Box::new(client),
            url.as_str().parse()?,
        )))
    }

    pub(super) async fn deliver(&self, message: &Message) -> Outcome {
        match tokio::time::timeout(ANSWER_WITHIN, self.answer(message)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Again(format!("no answer within {} s", ANSWER_WITHIN.as_secs())),
        }
    }

    async fn answer(&self, message: &Message) -> Outcome {
        let answer = match &self.0 {
            Address::Inside(app, path) => {
                let request = request(path, message, Body::from(message.body.clone()));
                match app.clone().oneshot(request).await {
                    Ok(answer) => answer,
                    Err(never) => match never {},
                }
            }
            Address::Outside(client, url) => {
                let request = request(url, message, Full::new(message.body.clone()));
                match client.request(request).await {
                    Ok(answer) => answer.map(Body::new),
                    Err(error) => return Outcome::Again(format!("not reached: {error}")),
                }
            }
        };
        judge(answer).await
    }
}

fn request<B>(uri: &Uri, message: &Message, body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = message.headers.clone();
    request
}

async fn judge(answer: Response) -> Outcome {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
    if status.is_success() {
        return Outcome::Done;
    }
    let document = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap_or_default();
    let reason = match document["code"].as_str() {
        Some(code) => format!("answered {} ({code})", status.as_u16()),
        None => format!("answered {}", status.as_u16()),
    };
    let passing = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    if status.is_server_error() || passing.contains(&status) {
        Outcome::Again(reason)
    } else {
        Outcome::Poison(reason)
    }
}
