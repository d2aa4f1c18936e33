//! A broker in memory, with the contract of a Knative broker: it acknowledges what it takes, delivers it at least once,
//! retries with back-off, and hands what it gives up on to the dead letters.
//!
//! Bounded: when it holds as much as it may, it refuses, and the sender keeps the event. Volatile: what it holds when the
//! process is killed is published again by the sweeper, from `pending`. While the process lives nothing is lost: a dead
//! letter is offered until it is kept.
//!
//! One core, two transports: in process ([`EventSink`] in, a `Router` out) for `local`, and HTTP both ways for functions
//! that run as processes of their own ([`ingress`]).

mod ingress;
mod subscriber;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use domain::OrderPlaced;
use events::{EventSink, SendError, envelope};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use ingress::ingress;
pub use subscriber::{Outcome, Subscriber};

/// Says to the dead letters' subscriber why the broker gave up.
pub const REASON: HeaderName = HeaderName::from_static("x-spike-reason");
/// The longest message that is taken, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// The bounds of a broker.
#[derive(Debug, Clone)]
pub struct Limits {
    /// What is held at the same time, in KiB; a message counts as at least one.
    pub held_kib: u32,
    /// Deliveries under way at the same time.
    pub deliveries: usize,
    /// How often a message is tried before it is a dead letter.
    pub tries: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub first_wait: Duration,
    /// The longest wait between two tries.
    pub longest_wait: Duration,
}

impl Default for Limits {
    /// Holds 32 MiB. Gives a message up after two minutes and more, so that a store that is away for a minute makes no
    /// dead letters, and finds it within five seconds when it is back.
    fn default() -> Self {
        Self {
            held_kib: 32 * 1024,
            deliveries: 64,
            tries: 40,
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(5),
        }
    }
}

/// An event as it came: what it says is no business of the broker.
#[derive(Debug, Clone)]
pub struct Message {
    /// The content type, and the attributes of a binary event.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Message {
    /// The event in structured form, as a part of the trace at hand.
    #[must_use]
    pub fn of(event: &OrderPlaced) -> Self {
        let content_type = HeaderValue::from_static(envelope::CONTENT_TYPE);
        Self {
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]),
            body: envelope::write_within(event, observe::traceparent().as_deref()).into(),
        }
    }

    fn kib(&self) -> u32 {
        u32::try_from(self.body.len().div_ceil(1024))
            .unwrap_or(u32::MAX)
            .max(1)
    }
}

/// The broker holds as much as it may, or is closing: the message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker is full")]
pub struct Full;

/// A broker with one subscriber and one for its dead letters.
#[derive(Clone)]
pub struct Broker {
    core: Arc<Core>,
}

struct Core {
    limits: Limits,
    room: Arc<Semaphore>,
    turns: Semaphore,
    closed: AtomicBool,
    subscriber: Subscriber,
    dead_letters: Subscriber,
}

impl Broker {
    /// A broker that delivers to `subscriber`, and what that refuses for good to `dead_letters`.
    #[must_use]
    pub fn new(limits: Limits, subscriber: Subscriber, dead_letters: Subscriber) -> Self {
        let core = Core {
            room: Arc::new(Semaphore::new(limits.held_kib as usize)),
            turns: Semaphore::new(limits.deliveries),
            closed: AtomicBool::new(false),
            limits,
            subscriber,
            dead_letters,
        };
        Self {
            core: Arc::new(core),
        }
    }

    /// Takes a message; `Ok` is the acknowledgement. Delivery starts at once, on a task of its own.
    pub fn accept(&self, message: Message) -> Result<(), Full> {
        if self.core.closed.load(Ordering::Acquire) {
            return Err(Full);
        }
        let room = Arc::clone(&self.core.room);
        let held = room
            .try_acquire_many_owned(message.kib())
            .map_err(|_| Full)?;
        tokio::spawn(Arc::clone(&self.core).carry(message, held));
        Ok(())
    }

    /// Takes nothing more, and waits at most so long until nothing is held; whether that came about.
    pub async fn drain(&self, within: Duration) -> bool {
        self.core.closed.store(true, Ordering::Release);
        let everything = self.core.room.acquire_many(self.core.limits.held_kib);
        matches!(tokio::time::timeout(within, everything).await, Ok(Ok(_)))
    }

    /// What is held now, in KiB.
    #[must_use]
    pub fn held_kib(&self) -> usize {
        self.core.limits.held_kib as usize - self.core.room.available_permits()
    }
}

impl Core {
    /// Delivers a message, or buries it. It counts as held until then.
    async fn carry(self: Arc<Self>, message: Message, _held: OwnedSemaphorePermit) {
        for failures in 1..=self.limits.tries {
            match self.deliver(&self.subscriber, &message).await {
                Outcome::Done => return,
                Outcome::Poison(reason) => return self.bury(message, &reason).await,
                Outcome::Again(reason) if failures == self.limits.tries => {
                    let reason = format!("{reason}, after {failures} tries");
                    return self.bury(message, &reason).await;
                }
                Outcome::Again(_) => tokio::time::sleep(self.limits.wait(failures)).await,
            }
        }
    }

    /// Hands a message to the dead letters, as often as it takes.
    async fn bury(&self, mut message: Message, reason: &str) {
        tracing::warn!(reason, "an event goes to the dead letters");
        if let Ok(reason) = HeaderValue::from_str(reason) {
            message.headers.insert(REASON, reason);
        }
        let mut failures = 0_u32;
        loop {
            match self.deliver(&self.dead_letters, &message).await {
                Outcome::Done => return,
                Outcome::Poison(why) | Outcome::Again(why) => {
                    tracing::error!(why, "a dead letter could not be kept yet");
                }
            }
            failures = failures.saturating_add(1);
            tokio::time::sleep(self.limits.wait(failures)).await;
        }
    }

    async fn deliver(&self, subscriber: &Subscriber, message: &Message) -> Outcome {
        // The semaphore is never closed, so there always is a turn.
        let _turn = self.turns.acquire().await;
        subscriber.deliver(message).await
    }
}

impl Limits {
    /// Exponential, and between half of it and all of it at random: those that failed together come back apart.
    fn wait(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let wait = self
            .first_wait
            .saturating_mul(doubled)
            .min(self.longest_wait);
        wait.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[async_trait]
impl EventSink for Broker {
    async fn send(&self, events: &[OrderPlaced]) -> Vec<Result<(), SendError>> {
        let full = http::StatusCode::SERVICE_UNAVAILABLE.as_u16();
        let accept = |event| {
            self.accept(Message::of(event))
                .map_err(|Full| SendError::Refused(full))
        };
        events.iter().map(accept).collect()
    }
}

#[cfg(test)]
mod tests;
