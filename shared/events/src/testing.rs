//! A sink for tests of other crates: it remembers what it was sent and answers as it is told.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use domain::OrderPlaced;

use crate::{EventSink, SendError};

/// How a [`Recorder`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answer {
    /// Keeps the event and acknowledges it.
    #[default]
    Ack,
    /// Keeps nothing and answers with status 503.
    Refuse,
    /// Keeps nothing, and the sender learns nothing.
    LoseEvent,
    /// Keeps the event, and the sender learns nothing.
    LoseAnswer,
}

/// A sink that keeps what it acknowledged.
#[derive(Debug, Default)]
pub struct Recorder {
    state: Mutex<(Answer, Vec<OrderPlaced>)>,
}

impl Recorder {
    /// From now on answers so.
    pub fn answer(&self, answer: Answer) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = answer;
    }

    /// What has arrived so far, in the order of arrival.
    #[must_use]
    pub fn arrived(&self) -> Vec<OrderPlaced> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .clone()
    }

    /// What has arrived since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<OrderPlaced> {
        std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).1)
    }
}

#[async_trait]
impl EventSink for Recorder {
    async fn send(&self, events: &[OrderPlaced]) -> Vec<Result<(), SendError>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = state.0;
        if matches!(answer, Answer::Ack | Answer::LoseAnswer) {
            state.1.extend_from_slice(events);
        }
        let lost = || Err(SendError::Unconfirmed("the answer was lost".into()));
        let one = |_: &OrderPlaced| match answer {
            Answer::Ack => Ok(()),
            Answer::Refuse => Err(SendError::Refused(503)),
            Answer::LoseEvent | Answer::LoseAnswer => lost(),
        };
        events.iter().map(one).collect()
    }
}
