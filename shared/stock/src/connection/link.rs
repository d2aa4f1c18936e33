//! The connection that works: opened anew when it breaks, once for all who wait, and looked at before it is trusted again
//! after a rest.
//!
//! **Rest.** A function that is frozen between two invocations, or a quiet hour, leaves a connection of which nobody knows
//! whether the other side still has it: the peer's farewell went unread, or a box on the way has forgotten it without a word.
//! A command on it would fail, or hang until its deadline, and may not be repeated. So the first command after a rest waits for
//! a `PING`; if that brings nothing, the connection is replaced before the command is sent.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::Clock;
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, aio::MultiplexedConnection};

use super::timed_out;

/// What one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(1);
/// So long without an answer, by the instance's own clock, which runs on while the instance is frozen, is a rest.
const REST_MS: i64 = 1_000;
/// What the first look after a rest may take.
const LOOK: Duration = Duration::from_millis(100);

/// An attempt to connect, of which all who wait share the outcome.
#[derive(Clone)]
struct Attempt {
    number: u64,
    outcome: Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>,
}

/// The one connection of a process.
pub(super) struct Link {
    client: Client,
    current: Mutex<Attempt>,
    local: Clock,
    answered_ms: AtomicI64,
}

impl Link {
    /// Begins to connect.
    pub(super) fn begin(client: Client, local: Clock) -> Self {
        Self {
            current: Mutex::new(attempt(&client, 0)),
            client,
            answered_ms: AtomicI64::new(local().as_millis()),
            local,
        }
    }

    /// Ends when the attempt that is under way has ended.
    pub(super) async fn connected(&self) -> RedisResult<()> {
        self.current().outcome.await.map(drop)
    }

    pub(super) fn db(&self) -> i64 {
        self.client.get_connection_info().redis_settings().db()
    }

    /// After a rest: waits until the connection is known to work, or was replaced, or cannot be.
    pub(super) async fn refresh(&self) {
        let rested_ms = (self.local)().as_millis() - self.answered_ms.load(Ordering::Relaxed);
        // A negative time: the clock was set back.
        if (0..REST_MS).contains(&rested_ms) {
            return;
        }
        let current = self.current();
        let look = async {
            let mut connection = current.outcome.clone().await?;
            connection.send_packed_command(&redis::cmd("PING")).await
        };
        if !matches!(tokio::time::timeout(LOOK, look).await, Ok(Ok(_))) {
            let fresh = self.replace(current.number);
            // Bounded by itself. Whether it worked, the command finds out.
            let _ = fresh.outcome.await;
        }
        self.answered();
    }

    /// Sends something over the connection. If it is broken, the next command finds another.
    pub(super) async fn with<T>(
        &self,
        send: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let current = self.current();
        let answer = match current.outcome.clone().await {
            Ok(connection) => {
                let answer = send(connection).await;
                let is_broken = answer
                    .as_ref()
                    .is_err_and(RedisError::is_unrecoverable_error);
                (answer, is_broken)
            }
            Err(error) => (Err(error), true),
        };
        match answer {
            (answer, true) => {
                self.replace(current.number);
                answer
            }
            (answer, false) => {
                self.answered();
                answer
            }
        }
    }

    fn answered(&self) {
        self.answered_ms
            .store((self.local)().as_millis(), Ordering::Relaxed);
    }

    fn current(&self) -> Attempt {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Begins anew, unless somebody has done so since the attempt of this number.
    fn replace(&self, number: u64) -> Attempt {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number == number {
            *current = attempt(&self.client, number + 1);
        }
        current.clone()
    }
}

/// An attempt that goes on whether somebody waits for it or not.
fn attempt(client: &Client, number: u64) -> Attempt {
    let client = client.clone();
    let outcome = async move {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(None);
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        // The timeout of the library does not span the greeting.
        let connected = tokio::time::timeout(CONNECT, connecting).await;
        connected.unwrap_or_else(|_| Err(timed_out()))
    };
    let outcome = outcome.boxed().shared();
    tokio::spawn(outcome.clone().map(drop));
    Attempt { number, outcome }
}
