//! What senders call: `SendMessage` and `SendMessageBatch` in the JSON protocol
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>).

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Queue;
use crate::http::{Answer, json_answer};

/// A message, and all of a batch together: 1 MiB.
const BYTES_MAX: usize = 1024 * 1024;
/// Messages of a batch.
const BATCH_MAX: usize = 10;
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// The service.
pub struct SqsApi {
    queues: Vec<Arc<Queue>>,
    requests: AtomicU64,
    failing: AtomicU32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Send {
    queue_url: String,
    #[serde(flatten)]
    entry: Entry,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendBatch {
    queue_url: String,
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(default)]
    id: String,
    message_body: String,
    #[serde(default)]
    message_attributes: Map<String, Value>,
}

impl SqsApi {
    /// In front of these queues, each at the path `/ACCOUNT/NAME`.
    #[must_use]
    pub fn new(queues: Vec<Arc<Queue>>) -> Self {
        Self {
            queues,
            requests: AtomicU64::new(0),
            failing: AtomicU32::new(0),
        }
    }

    /// How many requests have come.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The next so many requests are answered with 503.
    pub fn fail(&self, requests: u32) {
        self.failing.store(requests, Ordering::Relaxed);
    }

    /// Answers a request.
    #[must_use]
    pub fn answer(&self, request: &Request<Bytes>) -> Answer {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let one_less = |failing: u32| failing.checked_sub(1);
        let failing = &self.failing;
        if failing
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
        {
            return error(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable");
        }
        let target = request.headers().get("x-amz-target");
        let target = target.and_then(|it| it.to_str().ok()).unwrap_or("");
        let signed = request.headers().get(http::header::AUTHORIZATION);
        if !signed.is_some_and(|it| it.as_bytes().starts_with(b"AWS4-HMAC-SHA256 ")) {
            return error(StatusCode::FORBIDDEN, "MissingAuthenticationToken");
        }
        match target {
            "AmazonSQS.SendMessage" => match serde_json::from_slice(request.body()) {
                Ok(send) => self.send(send),
                Err(_) => error(StatusCode::BAD_REQUEST, "InvalidParameterValue"),
            },
            "AmazonSQS.SendMessageBatch" => match serde_json::from_slice(request.body()) {
                Ok(batch) => self.send_batch(batch),
                Err(_) => error(StatusCode::BAD_REQUEST, "InvalidParameterValue"),
            },
            _ => error(StatusCode::BAD_REQUEST, "UnsupportedOperation"),
        }
    }

    fn queue(&self, url: &str) -> Option<&Arc<Queue>> {
        let name = url.rsplit('/').next()?;
        self.queues.iter().find(|queue| queue.name == name)
    }

    fn send(&self, send: Send) -> Answer {
        let Some(queue) = self.queue(&send.queue_url) else {
            return error(StatusCode::BAD_REQUEST, "QueueDoesNotExist");
        };
        if send.entry.message_body.len() > BYTES_MAX {
            return error(StatusCode::BAD_REQUEST, "InvalidParameterValue");
        }
        let id = queue.send(send.entry.message_body, send.entry.message_attributes);
        json_answer(StatusCode::OK, CONTENT_TYPE, &json!({ "MessageId": id }))
    }

    fn send_batch(&self, batch: SendBatch) -> Answer {
        let Some(queue) = self.queue(&batch.queue_url) else {
            return error(StatusCode::BAD_REQUEST, "QueueDoesNotExist");
        };
        let bytes: usize = batch.entries.iter().map(|it| it.message_body.len()).sum();
        let refused = match batch.entries.len() {
            0 => Some("EmptyBatchRequest"),
            1..=BATCH_MAX if bytes <= BYTES_MAX => None,
            1..=BATCH_MAX => Some("BatchRequestTooLong"),
            _ => Some("TooManyEntriesInBatchRequest"),
        };
        if let Some(refused) = refused {
            return error(StatusCode::BAD_REQUEST, refused);
        }
        let sent = batch.entries.into_iter().map(|entry| {
            let id = queue.send(entry.message_body, entry.message_attributes);
            json!({ "Id": entry.id, "MessageId": id })
        });
        let sent: Vec<Value> = sent.collect();
        let body = json!({ "Successful": sent, "Failed": [] });
        json_answer(StatusCode::OK, CONTENT_TYPE, &body)
    }
}

fn error(status: StatusCode, kind: &str) -> Answer {
    let body = json!({ "__type": format!("com.amazonaws.sqs#{kind}"), "message": kind });
    json_answer(status, CONTENT_TYPE, &body)
}
