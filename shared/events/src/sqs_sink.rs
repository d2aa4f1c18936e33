//! The adapter for SQS: events as messages of a standard queue, up to ten in a request.
//!
//! `SendMessageBatch`, also for a single event, so that there is one way
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>): ten entries and 1 MiB at
//! most. An event of ours has less than 2 KiB, so ten of them never come near that. SQS answers for each entry by itself.
//!
//! A function that was frozen may hold a connection that is gone. So a request that gets no answer is sent a second time within
//! the same second, over another connection; a message that arrives twice is harmless. The breaker sees to it that this does not
//! become a storm.

mod queue;

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use aws_sdk_sqs::{
    Client, Config,
    config::{
        BehaviorVersion, Region, StalledStreamProtectionConfig, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    error::SdkError,
    operation::send_message_batch::SendMessageBatchOutput,
    types::{BatchResultErrorEntry, MessageAttributeValue, SendMessageBatchRequestEntry},
};
use domain::OrderPlaced;
use futures::{StreamExt, stream};
use url::Url;

use crate::{
    ConnectError, EventSink, SendError,
    breaker::{Breaker, Open},
    envelope,
};
use queue::Queue;

/// From the start of a send to its answer, both tries and connecting included.
const DEADLINE: Duration = Duration::from_secs(1);
/// What the first try may take of it.
const FIRST_TRY: Duration = Duration::from_millis(400);
const CONNECT_WITHIN: Duration = Duration::from_millis(300);
/// The most entries of a request.
const ENTRIES_MAX: usize = 10;
/// Requests of one call that are under way at the same time.
const CONCURRENT: usize = 8;
/// What SQS answers about an entry that it did not take: that was the sender's fault, or its own.
const SENDERS_FAULT: u16 = 400;
const ITS_OWN_FAULT: u16 = 503;

const TRACEPARENT: &str = "traceparent";

/// Sends events to a queue.
#[derive(Debug)]
pub struct SqsSink {
    client: Client,
    queue_url: String,
    breaker: Breaker,
}

/// The deadline passed before an answer came.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} ms", DEADLINE.as_millis())]
struct Late;

/// SQS said nothing about an entry.
#[derive(Debug, thiserror::Error)]
#[error("the answer lacks this event")]
struct Unmentioned;

impl SqsSink {
    /// A sink that sends to the queue at this `sqs+https://` or `sqs+http://` URL, with the credentials of the environment.
    pub fn new(url: &Url) -> Result<Self, ConnectError> {
        let elsewhere = aws::endpoint(aws::Service::Sqs)?;
        let queue = Queue::read(url, elsewhere.as_ref(), aws::region())?;
        Ok(Self::to(queue, aws::credentials()?))
    }

    /// Opens the connection that the first send would wait for; a queue that is away is met by that send.
    pub async fn warm(&self) {
        let ping = self.client.list_queues().customize();
        let ping = ping.mutate_request(aws::into_ping).send();
        let _ = tokio::time::timeout(DEADLINE, ping).await;
    }

    fn to(queue: Queue, credentials: aws::Credentials) -> Self {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_WITHIN);
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(queue.region))
            .credentials_provider(credentials)
            .http_client(aws::http_client(queue.endpoint.starts_with("https:")))
            .endpoint_url(queue.endpoint)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts.build())
            .build();
        Self {
            client: Client::from_conf(config),
            queue_url: queue.url,
            breaker: Breaker::default(),
        }
    }

    /// Sends up to [`ENTRIES_MAX`] events.
    async fn send_some(&self, events: &[OrderPlaced]) -> Vec<Result<(), SendError>> {
        if !self.breaker.admit() {
            let open = || Err(SendError::Unconfirmed(Box::new(Open)));
            return events.iter().map(|_| open()).collect();
        }
        let outcomes = self.request_twice(events).await;
        let is_silent = |it: &Result<(), SendError>| matches!(it, Err(SendError::Unconfirmed(_)));
        self.breaker.record(!outcomes.iter().all(is_silent));
        outcomes
    }

    async fn request_twice(&self, events: &[OrderPlaced]) -> Vec<Result<(), SendError>> {
        let trace = observe::traceparent();
        let tries = async {
            let first = tokio::time::timeout(FIRST_TRY, self.request(events, trace.as_deref()));
            match first.await {
                Ok(Some(outcomes)) => Some(outcomes),
                Ok(None) | Err(_) => self.request(events, trace.as_deref()).await,
            }
        };
        let outcomes = tokio::time::timeout(DEADLINE, tries).await;
        let late = || Err(SendError::Unconfirmed(Box::new(Late)));
        outcomes
            .ok()
            .flatten()
            .unwrap_or_else(|| events.iter().map(|_| late()).collect())
    }

    /// What SQS answers about each event; nothing if there is no answer.
    async fn request(
        &self,
        events: &[OrderPlaced],
        trace: Option<&str>,
    ) -> Option<Vec<Result<(), SendError>>> {
        let entries = events.iter().zip(0_u8..);
        let entries: Result<Vec<_>, _> =
            entries.map(|(event, at)| entry(event, at, trace)).collect();
        let request = self.client.send_message_batch().queue_url(&self.queue_url);
        // Whoever builds an entry gives it an id and a body.
        let request = request.set_entries(Some(entries.ok()?));
        match Box::pin(request.send()).await {
            Ok(answer) => Some(outcomes(events.len(), &answer)),
            Err(SdkError::ServiceError(refusal)) => {
                let status = refusal.raw().status().as_u16();
                Some(
                    events
                        .iter()
                        .map(|_| Err(SendError::Refused(status)))
                        .collect(),
                )
            }
            Err(_) => None,
        }
    }
}

fn entry(
    event: &OrderPlaced,
    at: u8,
    trace: Option<&str>,
) -> Result<SendMessageBatchRequestEntry, aws_sdk_sqs::error::BuildError> {
    let body = envelope::write_within(event, trace);
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(at.to_string())
        .message_body(String::from_utf8_lossy(&body));
    if let Some(trace) = trace {
        let text = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(trace);
        entry = entry.message_attributes(TRACEPARENT, text.build()?);
    }
    entry.build()
}

fn outcomes(count: usize, answer: &SendMessageBatchOutput) -> Vec<Result<(), SendError>> {
    let failed: HashMap<&str, &BatchResultErrorEntry> =
        answer.failed().iter().map(|it| (it.id(), it)).collect();
    let outcome = |at: usize| {
        let id = at.to_string();
        if answer.successful().iter().any(|it| it.id() == id) {
            return Ok(());
        }
        Err(match failed.get(id.as_str()) {
            Some(failure) if failure.sender_fault() => SendError::Refused(SENDERS_FAULT),
            Some(_) => SendError::Refused(ITS_OWN_FAULT),
            None => SendError::Unconfirmed(Box::new(Unmentioned)),
        })
    };
    (0..count).map(outcome).collect()
}

#[async_trait]
impl EventSink for SqsSink {
    async fn send(&self, events: &[OrderPlaced]) -> Vec<Result<(), SendError>> {
        let sends: Vec<_> = events
            .chunks(ENTRIES_MAX)
            .map(|events| self.send_some(events))
            .collect();
        let outcomes = stream::iter(sends).buffered(CONCURRENT);
        outcomes
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .flatten()
            .collect()
    }
}

#[cfg(test)]
mod tests;
