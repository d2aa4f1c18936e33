//! The answers of the system, as far as the race reads them, and the system's clock.

use std::time::Duration;

use anyhow::Context as _;
use domain::{OrderId, SpikeId, Timestamp, Units, UserId};
use http::HeaderValue;
use serde::Deserialize;
use tokio::time::Instant;

use crate::client::{Client, Request};

/// `GET /spikes/{spike_id}/access`.
#[derive(Debug, Deserialize)]
pub struct Access {
    /// Whether the buyer may buy.
    pub allowed: bool,
}

/// `POST /spikes/{spike_id}/token`.
#[derive(Debug, Deserialize)]
pub struct PathToken {
    /// The last part of the path to order at.
    pub token: String,
}

/// The 202 of `POST /spikes/{spike_id}/orders/{token}`.
#[derive(Debug, Deserialize)]
pub struct Accepted {
    /// The order's id, which it keeps.
    pub order_id: OrderId,
}

/// An order, or the promise of one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OrderView {
    /// The order.
    pub order_id: OrderId,
    /// `queued`, or a state of [`domain::OrderState`].
    pub state: String,
    /// The spike.
    pub spike_id: Option<SpikeId>,
    /// The units; none while it is queued.
    #[serde(default = "Units::none")]
    pub units: Units,
    /// Why it was rejected, if it was.
    #[serde(default)]
    pub reason: Option<String>,
}

impl OrderView {
    /// Whether the order is in the store.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.state != "queued"
    }

    /// Whether it holds its units.
    #[must_use]
    pub fn is_live(&self) -> bool {
        ["placed", "paid"].contains(&self.state.as_str())
    }
}

/// `GET /orders`.
#[derive(Debug, Deserialize)]
pub struct OrdersPage {
    /// Some orders of the caller.
    pub orders: Vec<OrderView>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// `POST /users/login` and `POST /users/refresh`.
#[derive(Debug, Deserialize)]
pub struct Tokens {
    /// For the `Authorization` header.
    pub access_token: String,
    /// How long it lives.
    pub expires_in_secs: u32,
    /// For the next pair.
    pub refresh_token: String,
}

/// `POST /admin/users/import`.
#[derive(Debug, Deserialize)]
pub struct Imported {
    /// Lines that were not imported.
    pub failed: Vec<FailedLine>,
    /// Accounts that exist now.
    pub users: Vec<ImportedUser>,
}

/// A line that was not imported.
#[derive(Debug, Deserialize)]
pub struct FailedLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: String,
}

/// An account that was created or amended.
#[derive(Debug, Deserialize)]
pub struct ImportedUser {
    /// Its name.
    pub username: String,
    /// Its id.
    pub user_id: UserId,
}

/// `GET /admin/spikes/{spike_id}/stats`.
#[derive(Debug, Clone, Deserialize)]
pub struct Stats {
    /// What Redis knows; `null` if the sale is not loaded.
    pub redis: Option<RedisStats>,
    /// What the store knows.
    pub store: StoreStats,
    /// Units that are free in one of them and not in the other; `null` if the sale is not loaded.
    pub free_differs: Option<u64>,
    /// Where every unit is.
    pub balance: Balance,
}

/// The conservation of units.
#[derive(Debug, Clone, Deserialize)]
pub struct Balance {
    /// Units of reservations that are no order yet.
    pub queued: u64,
    /// Units of orders that wait for their payment.
    pub placed: u64,
    /// Units of paid orders.
    pub paid: u64,
    /// Units between two places.
    pub settling: u64,
    /// Whether every unit is in one place.
    pub balances: bool,
}

impl Stats {
    /// Whether nothing is under way: no reservation waits to be written, no unit is between two places, and all of them are
    /// somewhere.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let is_drained = self.redis.as_ref().is_some_and(|it| it.pending == 0);
        let Balance {
            queued,
            settling,
            balances,
            ..
        } = self.balance;
        is_drained && balances && queued == 0 && settling == 0
    }
}

/// What Redis knows of a sale.
#[derive(Debug, Clone, Deserialize)]
pub struct RedisStats {
    /// Units on offer.
    pub free: u64,
    /// Users with a hold.
    pub buyers: u64,
    /// Reservations that are not known to be durable.
    pub pending: u64,
}

/// What the store knows of a sale.
#[derive(Debug, Clone, Deserialize)]
pub struct StoreStats {
    /// Units that no order holds.
    pub free: u64,
    /// Units of live orders.
    pub held: u64,
}

/// What the server's clock shows, without asking again.
#[derive(Debug, Clone, Copy)]
pub struct ServerClock {
    at: Instant,
    time: Timestamp,
}

impl ServerClock {
    /// Reads the server's time as closely as the quickest of five answers allows.
    ///
    /// The clock is set so that it is behind the server's rather than ahead: what is due at a time by this clock is not
    /// early at the server.
    pub async fn read(client: &Client) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct List {
            server_time: Timestamp,
        }
        let mut best: Option<(Duration, Self)> = None;
        for _ in 0..5 {
            let asked_at = Instant::now();
            let answer = client.send(&Request::get("/spikes")).await?;
            let at = Instant::now();
            let List { server_time: time } = answer.success("GET /spikes")?.json()?;
            let round_trip = at - asked_at;
            if best.as_ref().is_none_or(|(least, _)| round_trip < *least) {
                best = Some((round_trip, Self { at, time }));
            }
        }
        Ok(best.context("the server has no time")?.1)
    }

    /// The server's time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.time + self.at.elapsed()
    }

    /// The moment at which the server's clock will show `time`.
    #[must_use]
    pub fn instant_of(&self, time: Timestamp) -> Instant {
        self.at + time.since(self.time)
    }
}

/// The header's value for an access token.
pub fn bearer(access_token: &str) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {access_token}"))?;
    value.set_sensitive(true);
    Ok(value)
}
