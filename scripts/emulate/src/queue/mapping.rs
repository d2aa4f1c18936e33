//! Lambda's event source mapping: takes batches out of a queue, gives them to a function, and deletes what succeeded
//! (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>).

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{sync::watch, task::JoinSet};

use super::{Message, Queue};
use crate::{
    REGION,
    lambda::{Failure, Function, lock},
};

/// How many batches are remembered for whoever asks what became of them.
const BATCHES_KEPT: usize = 10_000;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The messages' ids.
    pub ids: Vec<String>,
    /// Those that stay in the queue.
    pub failed: Vec<String>,
    /// Why none succeeded.
    pub failure: Option<Failure>,
}

/// A running mapping; it ends when this is dropped.
pub struct Mapping {
    batches: Arc<Mutex<Vec<Batch>>>,
    paused: watch::Sender<bool>,
    _pollers: JoinSet<()>,
}

impl Mapping {
    /// Starts `pollers`, each of which gives the function one batch at a time.
    #[must_use]
    pub fn start(
        queue: &Arc<Queue>,
        function: &Arc<Function>,
        batch_size: usize,
        pollers: usize,
    ) -> Self {
        let batches = Arc::<Mutex<Vec<Batch>>>::default();
        let paused = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for _ in 0..pollers {
            let (queue, function) = (Arc::clone(queue), Arc::clone(function));
            let (batches, mut pause) = (Arc::clone(&batches), paused.subscribe());
            tasks.spawn(async move {
                while pause.wait_for(|paused| !*paused).await.is_ok() {
                    let messages = queue.receive(batch_size);
                    if messages.is_empty() {
                        queue.changed().await;
                        continue;
                    }
                    let batch = deliver(&queue, &function, &messages).await;
                    let mut batches = lock(&batches);
                    if batches.len() < BATCHES_KEPT {
                        batches.push(batch);
                    }
                }
            });
        }
        Self {
            batches,
            paused,
            _pollers: tasks,
        }
    }

    /// Nothing is taken out of the queue while it is paused.
    pub fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// What became of the batches since this was last asked.
    #[must_use]
    pub fn batches(&self) -> Vec<Batch> {
        std::mem::take(&mut *lock(&self.batches))
    }
}

/// Gives a function a batch and deletes from the queue what succeeded.
async fn deliver(queue: &Queue, function: &Arc<Function>, messages: &[Message]) -> Batch {
    let ids: Vec<String> = messages.iter().map(|it| it.id.clone()).collect();
    let result = function.invoke(event(&queue.arn(), messages)).await;
    let (failed, failure) = match &result {
        Ok(answer) => (failed(answer, &ids), None),
        Err(failure) => (ids.clone(), Some(failure.clone())),
    };
    for message in messages.iter().filter(|it| !failed.contains(&it.id)) {
        queue.delete(&message.receipt);
    }
    Batch {
        ids,
        failed,
        failure,
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    #[serde(default)]
    batch_item_failures: Option<Vec<Item>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    item_identifier: Option<String>,
}

/// Which messages a function's answer says failed. Of an answer that names none of the batch, or cannot be read, all did.
fn failed(answer: &[u8], ids: &[String]) -> Vec<String> {
    if answer.is_empty() || answer == b"null" {
        return Vec::new();
    }
    let Ok(report) = serde_json::from_slice::<Report>(answer) else {
        return ids.to_vec();
    };
    let items = report.batch_item_failures.unwrap_or_default();
    let named: Option<Vec<String>> = items.into_iter().map(|it| it.item_identifier).collect();
    match named {
        Some(named) if named.iter().all(|id| ids.contains(id)) => named,
        _ => ids.to_vec(),
    }
}

/// The event of a batch (<https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>).
#[must_use]
pub(crate) fn event(arn: &str, messages: &[Message]) -> Bytes {
    let records: Vec<Value> = messages.iter().map(|it| record(arn, it)).collect();
    Bytes::from(json!({ "Records": records }).to_string())
}

fn record(arn: &str, message: &Message) -> Value {
    let mut attributes = Map::new();
    for (name, value) in [
        ("ApproximateReceiveCount", message.receives.to_string()),
        ("SentTimestamp", message.sent_at_ms.to_string()),
        ("SenderId", "AROAEMULATED:spike".to_owned()),
        (
            "ApproximateFirstReceiveTimestamp",
            message.sent_at_ms.to_string(),
        ),
    ] {
        attributes.insert(name.to_owned(), value.into());
    }
    if let Some(source) = &message.dead_letter_of {
        let source = source.as_str().into();
        attributes.insert("DeadLetterQueueSourceArn".to_owned(), source);
    }
    let sent = message.attributes.iter().map(|(name, value)| {
        let value = json!({
            "stringValue": value["StringValue"],
            "stringListValues": [],
            "binaryListValues": [],
            "dataType": value["DataType"],
        });
        (name.clone(), value)
    });
    json!({
        "messageId": message.id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": sent.collect::<Map<_, _>>(),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": REGION,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_says_of_a_batch_is_what_aws_reads_in_it() {
        let ids = ["a".to_owned(), "b".to_owned()];
        let none: Vec<String> = Vec::new();
        for all_done in [
            "",
            "null",
            "{}",
            r#"{"batchItemFailures":[]}"#,
            r#"{"batchItemFailures":null}"#,
        ] {
            assert_eq!(failed(all_done.as_bytes(), &ids), none, "{all_done}");
        }
        let one = r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#;
        assert_eq!(failed(one.as_bytes(), &ids), ["b"]);
        for unclear in [
            "[]x",
            r#"{"batchItemFailures":[{"itemIdentifier":"c"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"item":"a"}]}"#,
        ] {
            assert_eq!(failed(unclear.as_bytes(), &ids), ids, "{unclear}");
        }
    }
}
