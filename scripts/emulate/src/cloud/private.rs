//! What queues and timers call, for tests that must call it at once: `POST /events/...` is an event with one record, and
//! `POST /timers/...` one of the scheduler. What the function says of it becomes a status.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::{net::UnixListener, time::Instant};

use crate::{
    gateway::BODY_BYTES_MAX,
    http::{Answer, Server, message},
    lambda::Function,
    queue::{Message, Queue},
    terraform::Declared,
};

/// The routes, and what they lead to.
pub(super) struct Private {
    events: BTreeMap<String, (Arc<Function>, String)>,
    timers: BTreeMap<String, Arc<Function>>,
}

impl Private {
    pub(super) fn new(
        declared: &BTreeMap<String, Declared>,
        functions: &BTreeMap<String, Arc<Function>>,
        [orders, dead_letters]: [&Arc<Queue>; 2],
    ) -> Arc<Self> {
        let mut private = Self {
            events: BTreeMap::new(),
            timers: BTreeMap::new(),
        };
        for (name, function) in functions {
            match declared.get(name).and_then(|it| it.consumes.as_deref()) {
                Some("orders") => {
                    let to = (Arc::clone(function), orders.arn());
                    private.events.insert("/events/order-placed".to_owned(), to);
                }
                Some("dead_letters") => {
                    let to = (Arc::clone(function), dead_letters.arn());
                    private.events.insert("/events/dead-letter".to_owned(), to);
                }
                _ => {}
            }
            if let Some(path) = declared.get(name).and_then(|it| it.timer.clone()) {
                private.timers.insert(path, Arc::clone(function));
            }
        }
        Arc::new(private)
    }

    pub(super) fn serve(self: Arc<Self>, listener: UnixListener) -> Server {
        Server::unix(listener, BODY_BYTES_MAX, move |request| {
            let private = Arc::clone(&self);
            async move { private.answer(request).await }
        })
    }

    async fn answer(&self, request: Request<Bytes>) -> Answer {
        let path = request.uri().path();
        if let Some((function, arn)) = self.events.get(path) {
            let body = String::from_utf8_lossy(request.body()).into_owned();
            let event = crate::queue::event(arn, &[Message::once(body)]);
            return match function.invoke(event).await.map(|it| failures(&it)) {
                Ok(0) => empty(StatusCode::NO_CONTENT),
                Ok(_) | Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "the record failed"),
            };
        }
        let Some(function) = self.timers.get(path) else {
            return message(StatusCode::NOT_FOUND, "Not Found");
        };
        let event = Bytes::from(json!({ "path": path }).to_string());
        match function.invoke(event).await {
            Ok(result) => {
                let mut answer = Response::new(Full::new(result));
                let json = http::HeaderValue::from_static("application/json");
                answer
                    .headers_mut()
                    .insert(http::header::CONTENT_TYPE, json);
                answer
            }
            Err(failure) => message(StatusCode::SERVICE_UNAVAILABLE, &failure.to_string()),
        }
    }
}

fn failures(result: &[u8]) -> usize {
    let report: Value = serde_json::from_slice(result).unwrap_or_default();
    report["batchItemFailures"].as_array().map_or(0, Vec::len)
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

impl Message {
    /// A message that is in no queue.
    fn once(body: String) -> Self {
        Self {
            id: crate::request_id(),
            receipt: crate::request_id(),
            body,
            attributes: serde_json::Map::new(),
            receives: 1,
            sent_at_ms: runtime::clock::system()().as_millis(),
            dead_letter_of: None,
            visible_at: Instant::now(),
        }
    }
}
