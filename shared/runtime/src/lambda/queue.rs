//! Messages of a queue to the requests that a broker would send, and the list of those that must come again.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Uri, header},
    response::Response,
};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::{event::Message, post};

/// How many messages are worked on at once. More than a batch has as a rule, so that a writer can write them together.
const AT_ONCE: usize = 32;
/// As what an event is sent. What is not one is its receiver's to refuse.
const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";
/// Why the queue gave up, for whoever keeps its dead letters.
const REASON: &str = "x-spike-reason";
const TRACEPARENT: &str = "traceparent";

/// Delivers every message; the ids of those that `deliver` did not bring to an end. None waits for another.
pub(super) async fn deliver<'a>(
    messages: &'a [Message],
    deliver: impl AsyncFn(&'a Message) -> bool,
) -> Vec<&'a str> {
    let deliver = &deliver;
    stream::iter(messages)
        .map(|message| async move { (message.message_id.as_str(), deliver(message).await) })
        .buffer_unordered(AT_ONCE)
        .filter_map(|(id, done)| std::future::ready((!done).then_some(id)))
        .collect()
        .await
}

/// The request to the route of events.
pub(super) fn request(message: &Message, route: &'static str) -> Request {
    let mut request = post(Uri::from_static(route), Body::from(message.body.clone()));
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    if let Ok(reason) = HeaderValue::try_from(reason(message)) {
        headers.insert(REASON, reason);
    }
    let traceparent = message.message_attributes.get(TRACEPARENT);
    let traceparent = traceparent.and_then(|it| it.string_value.as_deref());
    if let Some(Ok(traceparent)) = traceparent.map(HeaderValue::from_str) {
        headers.insert(TRACEPARENT, traceparent);
    }
    request
}

/// Why the message lies in a queue of dead letters, as far as its attributes say so
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>).
fn reason(message: &Message) -> String {
    let attribute = |name| message.attributes.get(name).map(String::as_str);
    let arn = attribute("DeadLetterQueueSourceArn").unwrap_or(&message.event_source_arn);
    let queue = arn.rsplit(':').next().unwrap_or_default();
    let received = attribute("ApproximateReceiveCount").unwrap_or("?");
    format!("the queue {queue} gave up on it; received {received} times by now")
}

/// Whether the message is done. Any other answer than a success brings it again.
pub(super) fn is_done(message: &Message, answer: &Response) -> bool {
    let status = answer.status();
    if !status.is_success() {
        tracing::warn!(
            messaging.message.id = message.message_id,
            http.response.status_code = status.as_u16(),
            "a message comes again"
        );
    }
    status.is_success()
}

/// What Lambda reads if the event source says `ReportBatchItemFailures`: these stay in the queue, all others are deleted.
pub(super) fn answer(failed: &[&str]) -> Value {
    let failures: Vec<_> = failed
        .iter()
        .map(|id| json!({ "itemIdentifier": id }))
        .collect();
    json!({ "batchItemFailures": failures })
}
