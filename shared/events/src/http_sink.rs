//! The HTTP adapter: one `POST` of a structured `CloudEvent` for each event.
//!
//! Any 2xx is the broker's acknowledgement, as of a Knative broker's ingress
//! (<https://github.com/knative/specs/blob/main/specs/eventing/data-plane.md>). Connections are kept and reused.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::OrderPlaced;
use futures::{StreamExt, stream};
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use url::Url;

use crate::{
    ConnectError, EventSink, SendError,
    breaker::{Breaker, Open},
    envelope,
};

/// From the start of a send to the head of the answer, connecting included.
const DEADLINE: Duration = Duration::from_secs(1);
/// An address that does not answer at all is given up earlier, so that the next address may be tried.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// Idle connections are kept this long. Shorter than servers usually wait, so that they rarely close under a request.
const IDLE: Duration = Duration::from_secs(20);
/// Events of one call that are under way at the same time.
const CONCURRENT: usize = 16;
/// What is read of an answer's body, which means nothing to us, to keep the connection usable.
const DRAINED_BYTES_MAX: usize = 64 * 1024;

/// Posts events to a broker's ingress.
#[derive(Debug)]
pub struct HttpSink {
    client: Client<HttpConnector, Full<Bytes>>,
    target: Uri,
    breaker: Breaker,
}

/// The deadline passed before the head of an answer came.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} ms", DEADLINE.as_millis())]
struct Late;

impl HttpSink {
    /// A sink that posts to this `http://` URL.
    pub fn new(url: &Url) -> Result<Self, ConnectError> {
        let target = url.as_str().parse().map_err(ConnectError::Address)?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self {
            client,
            target,
            breaker: Breaker::default(),
        })
    }

    async fn send_one(&self, event: &OrderPlaced) -> Result<(), SendError> {
        if !self.breaker.admit() {
            return Err(SendError::Unconfirmed(Box::new(Open)));
        }
        let outcome = self.post(event).await;
        self.breaker
            .record(!matches!(outcome, Err(SendError::Unconfirmed(_))));
        outcome
    }

    async fn post(&self, event: &OrderPlaced) -> Result<(), SendError> {
        let trace = observe::traceparent();
        let body = envelope::write_within(event, trace.as_deref());
        let mut request =
            Request::post(self.target.clone()).header(header::CONTENT_TYPE, envelope::CONTENT_TYPE);
        if let Some(trace) = trace {
            // Brokers that trace continue this one.
            request = request.header("traceparent", trace);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| SendError::Unconfirmed(Box::new(error)))?;
        let answer = tokio::time::timeout(DEADLINE, self.client.request(request))
            .await
            .map_err(|_| SendError::Unconfirmed(Box::new(Late)))?
            .map_err(|error| SendError::Unconfirmed(Box::new(error)))?;
        let status = answer.status();
        drain(answer.into_body());
        if status.is_success() {
            Ok(())
        } else {
            Err(SendError::Refused(status.as_u16()))
        }
    }
}

/// Reads the rest of an answer aside: its connection can be reused, and the sender does not wait for it.
fn drain(body: Incoming) {
    if !body.is_end_stream() {
        let rest = Limited::new(body, DRAINED_BYTES_MAX).collect();
        tokio::spawn(tokio::time::timeout(DEADLINE, rest));
    }
}

#[async_trait]
impl EventSink for HttpSink {
    async fn send(&self, events: &[OrderPlaced]) -> Vec<Result<(), SendError>> {
        let sends: Vec<_> = events.iter().map(|event| self.send_one(event)).collect();
        stream::iter(sends).buffered(CONCURRENT).collect().await
    }
}

#[cfg(test)]
mod tests;
