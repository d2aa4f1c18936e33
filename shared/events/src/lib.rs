//! How a reservation travels to the writer of orders: the port [`EventSink`], its adapters, and the envelope.
//!
//! The adapter is chosen by the URL's scheme: `http://host:port/path` posts structured `CloudEvents` to a broker's
//! ingress (a Knative broker or `K_SINK`, or the `local` broker as a process of its own); `sqs+https://...` is the address of
//! a queue of SQS, to which the same events are sent as messages (`sqs+http://...` that of an emulator's).

#[cfg(any(feature = "http", feature = "sqs"))]
mod breaker;
pub mod envelope;
#[cfg(feature = "http")]
mod http_sink;
#[cfg(feature = "sqs")]
mod sqs_sink;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::sync::Arc;

use async_trait::async_trait;
use domain::OrderPlaced;
use url::Url;

pub use envelope::EnvelopeError;
#[cfg(feature = "http")]
pub use http_sink::HttpSink;
#[cfg(feature = "sqs")]
pub use sqs_sink::SqsSink;

/// Why an event is not acknowledged.
///
/// Neither variant allows giving the units back: what was refused may be sent again, and of what was not confirmed
/// nobody knows whether the broker has it.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The broker answered, and did not take the event: full, or not allowed. The number is its HTTP status.
    #[error("the broker refused the event with status {0}")]
    Refused(u16),
    /// No answer came in time, or the broker is away: it may or may not have the event.
    #[error("the broker did not confirm the event")]
    Unconfirmed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where events go.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Sends events and answers for each, in their order: `Ok` only after the broker has acknowledged it.
    ///
    /// An acknowledged event is delivered at least once. Each event stands alone: one that fails does not harm its
    /// neighbours, and sending an event again is harmless because its receiver is idempotent. An adapter bounds
    /// the wait for each event itself (one second on HTTP).
    async fn send(&self, events: &[OrderPlaced]) -> Vec<Result<(), SendError>>;
}

/// The sink cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No adapter of this build knows the scheme.
    #[error("no event sink for the scheme {0:?} in this build")]
    Scheme(String),
    /// The URL has no host, or cannot be the target of a request.
    #[error("not the address of an event sink")]
    Address(#[source] http::uri::InvalidUri),
    /// Not the address of a queue: its host says no region, and the environment neither; or it has no path.
    #[error("not the address of a queue")]
    Queue,
    /// The environment does not say whose messages they are.
    #[cfg(feature = "sqs")]
    #[error(transparent)]
    Aws(#[from] aws::EnvironmentError),
}

/// Builds the adapter for this URL. A broker that is away at start-up is met by retries. The handshakes with Amazon's queue
/// are tried here, for a second at most.
pub async fn connect(url: &Url) -> Result<Arc<dyn EventSink>, ConnectError> {
    match url.scheme() {
        #[cfg(feature = "http")]
        "http" => Ok(Arc::new(HttpSink::new(url)?)),
        #[cfg(feature = "sqs")]
        "sqs+http" | "sqs+https" => {
            let sink = SqsSink::new(url)?;
            sink.warm().await;
            Ok(Arc::new(sink))
        }
        other => Err(ConnectError::Scheme(other.to_owned())),
    }
}
