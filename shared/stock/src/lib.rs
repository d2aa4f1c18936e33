//! The fast admission: who may have which unit, in Redis.
//!
//! Stock is a set of numbered units 1..`top`. Redis hands each number out once; if it loses data and hands one out
//! twice, the durable store refuses the second claim. So the store is the truth, and Redis only makes refusals cheap
//! and wins quick. The rules that make this safe:
//!
//! 1. Take Redis-first, give back store-first: a unit returns only after a durable transition, never by age.
//! 2. Reservation ids are random and minted by the caller, never used twice.
//! 3. The outbox (`pending`) is acknowledged by the order-writer after its commit, never by the publisher.
//! 4. Orders are keyed by reservation, so a late duplicate revives nothing.
//! 5. Every write-back compares the holder, never the epoch.
//! 6. A load fills only an absent sale.
//! 7. `top` only grows; the house takes units like a buyer (`#retire`).
//! 8. After a unit conflict Redis learns the store's holder, of that unit only.
//! 9. Configuration is written to the store first, and applied here if its version is newer.
//!
//! Every call is one Lua script or one command, so it happens whole or not at all. `keys.rs` is the table of Redis keys;
//! each script in `lua/` says which of them it uses, what it answers and what it keeps true.

mod answer;
mod clock;
mod connection;
mod error;
mod keys;
mod outbox;
mod reserve;
mod sale;
mod script;
mod supply;
#[cfg(feature = "testing")]
pub mod testing;
mod view;
mod write_back;

use std::sync::Arc;

use domain::{Clock, Timestamp};
use redis::{Cmd, Value};
use tracing::Instrument as _;
use url::Url;

pub use connection::Connection;
pub use error::Error;
pub use outbox::{AuditLease, Due};
pub use reserve::{Request, Reserved};
pub use sale::{Claim, Config, Configured, Load, Loaded, LoadingLock, Sale, Supply};
pub use view::{BUYERS_AT_MOST, Buyers, Hold, UNITS_PER_CALL, UnitState};
pub use write_back::{Reassigned, Release, Released, Seen, Truth};

use clock::RedisClock;
use connection::Bounded;
use script::Call;

/// A source of random numbers.
pub type Random = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The stock of all spikes, in one Redis. Clones share one connection and one clock.
#[derive(Clone)]
pub struct Stock(Arc<Inner>);

struct Inner {
    quick: Box<dyn Connection>,
    patient: Box<dyn Connection>,
    clock: RedisClock,
    random: Random,
}

impl Stock {
    /// Stock behind any connection; `local` is this instance's own clock. Redis' clock is measured by the first call.
    #[must_use]
    pub fn new(connection: impl Connection + 'static, local: Clock, random: Random) -> Self {
        let patient = connection.boxed_clone();
        Self::with(Box::new(connection), patient, local, random)
    }

    /// Connects to `redis://host:port`, `redis+unix:///path` or, with the feature `tls`, `rediss://user:password@host:port`
    /// (`?ca=FILE` names other roots than Mozilla's), and measures Redis' clock.
    ///
    /// A Redis that is away is waited for two seconds at most, and then met by the first call: only an address that cannot be
    /// one is an error. Purchases wait 100 ms for an answer; nothing is sent twice.
    pub async fn connect(url: &Url, local: Clock) -> Result<Self, Error> {
        let (quick, patient) = Bounded::connect(url, local.clone()).await?;
        let stock = Self::with(
            Box::new(quick),
            Box::new(patient),
            local,
            Arc::new(rand::random),
        );
        stock.keep_time().await;
        Ok(stock)
    }

    /// Like [`Stock::connect`], with all the time that a busy machine needs: tests are not to fail because of it.
    #[cfg(feature = "testing")]
    async fn connect_patiently(url: &Url, local: Clock) -> Result<Self, Error> {
        let (_, patient) = Bounded::connect(url, local.clone()).await?;
        let stock = Self::new(patient, local, Arc::new(rand::random));
        stock.0.clock.claim_measurement();
        stock.measure_clock().await?;
        Ok(stock)
    }

    fn with(
        quick: Box<dyn Connection>,
        patient: Box<dyn Connection>,
        local: Clock,
        random: Random,
    ) -> Self {
        Self(Arc::new(Inner {
            quick,
            patient,
            clock: RedisClock::new(local),
            random,
        }))
    }

    /// Redis' time as far as it is known, without asking.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// [`Stock::now`] as a clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let stock = self.clone();
        Arc::new(move || stock.now())
    }

    /// Measures Redis' clock if the last measurement is ten seconds old, for those who need the time and nothing else;
    /// every other call does so too. One caller measures; others, and those who find Redis away, keep the old offset.
    pub async fn keep_time(&self) {
        if self.0.clock.claim_measurement() {
            let _ = self.measure_clock().await;
        }
    }

    /// Calls a script that a buyer waits for.
    async fn quick(&self, call: Call) -> Result<Value, Error> {
        let mut connection = self.0.quick.boxed_clone();
        let answer = measured(call.name(), call.send(connection.as_mut()));
        let (answer, ()) = tokio::join!(answer, self.keep_time());
        Ok(answer?)
    }

    /// Calls a script that may take its time.
    async fn patient(&self, call: Call) -> Result<Value, Error> {
        let mut connection = self.0.patient.boxed_clone();
        let answer = measured(call.name(), call.send(connection.as_mut()));
        let (answer, ()) = tokio::join!(answer, self.keep_time());
        Ok(answer?)
    }

    /// Sends one command that a buyer waits for.
    async fn command(&self, cmd: &Cmd) -> Result<Value, Error> {
        let mut connection = self.0.quick.boxed_clone();
        let answer = measured("command", script::send(connection.as_mut(), cmd));
        let (answer, ()) = tokio::join!(answer, self.keep_time());
        Ok(answer?)
    }

    async fn measure_clock(&self) -> Result<(), Error> {
        let clock = &self.0.clock;
        let asked_ms = clock.local_ms();
        let mut connection = self.0.quick.boxed_clone();
        let time = script::send(connection.as_mut(), &redis::cmd("TIME")).await;
        let measured = time.map_err(Error::from).and_then(redis_ms);
        match measured {
            Ok(redis_ms) => clock.learn(asked_ms, redis_ms),
            Err(_) => clock.missed(),
        }
        measured.map(drop)
    }
}

/// A call of Redis, measured, in a span of its own. Off, this is a load of an atomic before it and one behind it.
async fn measured<T, E>(
    name: &'static str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let begun = observe::STOCK.begin();
    let span = tracing::debug_span!(target: observe::SPANS, "stock", otel.name = name, otel.kind = "client");
    let answer = call.instrument(span).await;
    let outcome = if answer.is_ok() { "ok" } else { "failed" };
    observe::STOCK.end(begun, [&name, &outcome]);
    answer
}

/// Milliseconds from the answer of `TIME`: seconds and microseconds.
fn redis_ms(answer: Value) -> Result<i64, Error> {
    let [secs, micros] = answer::values(answer)?;
    let (secs, micros): (i64, i64) = (answer::number(secs)?, answer::number(micros)?);
    Ok(secs * 1000 + micros / 1000)
}
