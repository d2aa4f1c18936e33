//! How commands reach Redis, and how long they may take.
//!
//! One connection for all, with two deadlines. A command is never sent twice: after its deadline the caller is told that Redis
//! is unavailable, so that a slow Redis does not get more to do than a fast one. What the caller gets instead is a connection
//! that works: see `link`.

mod address;
mod link;

use std::{io, sync::Arc, time::Duration};

use domain::Clock;
use redis::{Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value, aio::ConnectionLike};
use url::Url;

use crate::Error;
use link::Link;

/// What a purchase waits for Redis; then the buyer gets a 503.
const QUICK: Duration = Duration::from_millis(100);
/// What a load, an audit's page and whatever else walks over many units may take; nobody waits for these.
const PATIENT: Duration = Duration::from_secs(5);
/// How long a start waits for Redis. Later it is connected to when it is needed: a function starts without it.
const START: Duration = Duration::from_secs(2);

/// A way to Redis that can be shared: every clonable `ConnectionLike`, a simulator's too.
pub trait Connection: ConnectionLike + Send + Sync {
    /// Another handle of the same connection.
    fn boxed_clone(&self) -> Box<dyn Connection>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Connection for C {
    fn boxed_clone(&self) -> Box<dyn Connection> {
        Box::new(self.clone())
    }
}

/// The connection, with a deadline.
#[derive(Clone)]
pub(crate) struct Bounded {
    link: Arc<Link>,
    within: Duration,
}

impl Bounded {
    /// Connects, or goes on without when Redis is away; answers with the handle for purchases and the one for long answers.
    /// An address that cannot be one is an error.
    pub(crate) async fn connect(url: &Url, local: Clock) -> Result<(Self, Self), Error> {
        let link = Arc::new(Link::begin(address::client(url)?, local));
        match tokio::time::timeout(START, link.connected()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "Redis is away; this starts without it"),
            Err(_) => tracing::warn!("Redis does not answer; this starts without it"),
        }
        let bounded = |within| Self {
            link: Arc::clone(&link),
            within,
        };
        Ok((bounded(QUICK), bounded(PATIENT)))
    }
}

impl ConnectionLike for Bounded {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            self.link.refresh().await;
            let sent = async |mut connection: redis::aio::MultiplexedConnection| {
                connection.send_packed_command(cmd).await
            };
            bounded(self.within, self.link.with(sent)).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            self.link.refresh().await;
            let sent = async |mut connection: redis::aio::MultiplexedConnection| {
                connection.send_packed_commands(cmd, offset, count).await
            };
            bounded(self.within, self.link.with(sent)).await
        })
    }

    fn get_db(&self) -> i64 {
        self.link.db()
    }
}

async fn bounded<T>(
    within: Duration,
    answer: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    let answer = tokio::time::timeout(within, answer).await;
    answer.unwrap_or_else(|_| Err(timed_out()))
}

fn timed_out() -> RedisError {
    RedisError::from(io::Error::from(io::ErrorKind::TimedOut))
}
