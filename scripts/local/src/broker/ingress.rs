//! The broker's address for senders in other processes.

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use http::{HeaderMap, StatusCode, header};
use runtime::{Code, Problem, extract::Bytes};

use super::{Broker, Full, MESSAGE_BYTES_MAX, Message};

/// `POST path`: 202 is the acknowledgement, 503 `busy` says that the broker is full. Whether the event is any good is for
/// its subscriber to say; only what does not even claim to be a `CloudEvent` is 400 `bad-event`.
pub fn ingress(broker: Broker, path: &str) -> Router {
    let take = post(take).layer(runtime::limit::body(MESSAGE_BYTES_MAX as u64));
    Router::new().route(path, take).with_state(broker)
}

async fn take(State(broker): State<Broker>, headers: HeaderMap, Bytes(body): Bytes) -> Response {
    let headers = kept(&headers);
    let claims = headers.contains_key("ce-specversion")
        || headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|content_type| {
                content_type
                    .as_bytes()
                    .starts_with(b"application/cloudevents+json")
            });
    if !claims {
        return Problem::new(Code::BadEvent).into_response();
    }
    match broker.accept(Message { headers, body }) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(Full) => Problem::new(Code::Busy).into_response(),
    }
}

/// The headers that belong to the event; the others belonged to its transport.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let of_event = |name: &str| name == header::CONTENT_TYPE.as_str() || name.starts_with("ce-");
    let pairs = headers.iter().filter(|(name, _)| of_event(name.as_str()));
    pairs
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
