//! One spike of its own on the shared server, and short names for what tests do with it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use domain::{OrderId, OrderPlaced, SpikeId, Timestamp, Unit, Units, UserId, spike::Gate};
use redis::{FromRedisValue, aio::MultiplexedConnection};
use stock::{
    Claim, Config, Load, Loaded, Reassigned, Release, Request, Reserved, Sale, Seen, Stock, Supply,
    Truth, testing::Redis,
};

/// The spike's keys at some moment, as `DUMP` writes them.
pub(crate) type Copies = Vec<(String, Option<Vec<u8>>)>;

/// A spike that no other test uses.
pub(crate) struct Kit {
    pub(crate) stock: Stock,
    pub(crate) spike_id: SpikeId,
    pub(crate) redis: MultiplexedConnection,
}

fn random() -> [u8; 10] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

/// An id that was not used before, minted now.
pub(crate) fn order() -> OrderId {
    OrderId::mint(stock::testing::clock()(), random())
}

/// A user that no other test knows.
pub(crate) fn user() -> UserId {
    UserId::mint(stock::testing::clock()(), random())
}

pub(crate) fn units(numbers: impl IntoIterator<Item = Unit>) -> Units {
    numbers.into_iter().collect()
}

impl Kit {
    /// On the shared server; nothing is loaded.
    pub(crate) async fn new() -> Self {
        Self::on(stock::testing::shared()).await
    }

    /// On this server; nothing is loaded.
    pub(crate) async fn on(redis: &Redis) -> Self {
        Self {
            stock: redis.stock(stock::testing::clock()).await,
            spike_id: SpikeId::mint(stock::testing::clock()(), random()),
            redis: redis.connection().await,
        }
    }

    /// With a running sale of `top` units, ten per user, no access rules.
    pub(crate) async fn running(top: Unit) -> Self {
        let kit = Self::new().await;
        kit.load(&kit.config(), top, Supply::Untouched).await;
        kit
    }

    /// A running sale: ten units per user, no access rules.
    pub(crate) fn config(&self) -> Config {
        Config {
            spike_id: self.spike_id,
            version: 1,
            gate: Gate::Open,
            starts_at: self.stock.now() - Duration::from_mins(1),
            ends_at: self.stock.now() + Duration::from_hours(1),
            limit_per_user: 10,
            guarded: false,
        }
    }

    pub(crate) async fn load(&self, config: &Config, top: Unit, supply: Supply) {
        assert_eq!(self.try_load(config, top, supply).await, Loaded::Filled);
    }

    pub(crate) async fn try_load(&self, config: &Config, top: Unit, supply: Supply) -> Loaded {
        let load = Load {
            config: config.clone(),
            top,
            epoch: 1,
            supply,
        };
        let lock = self.stock.lock_loading(self.spike_id).await.unwrap();
        let lock = lock.unwrap();
        self.stock.load(&load, &lock).await.unwrap()
    }

    pub(crate) async fn reserve(
        &self,
        user_id: UserId,
        order_id: OrderId,
        quantity: u32,
    ) -> Reserved {
        let request = Request {
            spike_id: self.spike_id,
            user_id,
            order_id,
            quantity,
            verdict: None,
        };
        self.stock.reserve(&request).await.unwrap()
    }

    /// What a new user gets who asks for `quantity`.
    pub(crate) async fn ask(&self, quantity: u32) -> Reserved {
        self.reserve(user(), order(), quantity).await
    }

    /// A new user's reservation of `quantity` units.
    pub(crate) async fn buy(&self, quantity: u32) -> OrderPlaced {
        let (user_id, order_id) = (user(), order());
        match self.reserve(user_id, order_id, quantity).await {
            Reserved::Won(units) => OrderPlaced {
                order_id,
                spike_id: self.spike_id,
                user_id,
                units,
            },
            other => panic!("not won: {other:?}"),
        }
    }

    /// Gives all units of an ended order back.
    pub(crate) async fn release(&self, placed: &OrderPlaced) -> u32 {
        self.release_some(placed, &placed.units, &Units::none())
            .await
    }

    pub(crate) async fn release_some(
        &self,
        placed: &OrderPlaced,
        units: &Units,
        keep: &Units,
    ) -> u32 {
        let release = Release {
            spike_id: self.spike_id,
            order_id: placed.order_id,
            user_id: placed.user_id,
            units,
            keep,
        };
        self.stock.release(&release).await.unwrap().offered
    }

    pub(crate) async fn reassign(&self, placed: &OrderPlaced, taken: &Units) -> Reassigned {
        self.stock.reassign(placed, taken).await.unwrap()
    }

    /// Learns that `unit` belongs to `owner`'s order.
    pub(crate) async fn learn(&self, unit: Unit, owner: &OrderPlaced, seen: Option<Seen>) -> bool {
        let truth = Truth::Order {
            order_id: owner.order_id,
            user_id: owner.user_id,
            units: owner.units.clone(),
        };
        let learned = self.stock.learn(self.spike_id, unit, &truth, seen, 0);
        learned.await.unwrap()
    }

    /// An order of another life: Redis does not know it.
    pub(crate) fn stranger(&self, numbers: impl IntoIterator<Item = Unit>) -> OrderPlaced {
        OrderPlaced {
            order_id: order(),
            spike_id: self.spike_id,
            user_id: user(),
            units: units(numbers),
        }
    }

    /// Offers these units, with `top` as the store's.
    pub(crate) async fn offer(&self, top: Unit, free: impl IntoIterator<Item = Unit>) -> u32 {
        let offered = self.stock.offer(self.spike_id, top, &units(free)).await;
        offered.unwrap()
    }

    pub(crate) async fn sale(&self) -> Sale {
        self.stock.sale(self.spike_id).await.unwrap().unwrap()
    }

    /// How many units are on offer.
    pub(crate) async fn left(&self) -> u32 {
        self.sale().await.left
    }

    pub(crate) async fn unit(&self, unit: Unit) -> stock::UnitState {
        let states = self.stock.units(self.spike_id, unit, unit).await.unwrap();
        states.unwrap().remove(0)
    }

    pub(crate) async fn hold(&self, placed: &OrderPlaced) -> Option<stock::Hold> {
        let hold = self.stock.hold(self.spike_id, placed.user_id);
        hold.await.unwrap()
    }

    /// Whether the reservation stands in the outbox.
    pub(crate) async fn is_pending(&mut self, placed: &OrderPlaced) -> bool {
        let (key, member) = (self.key("pending"), placed.member());
        let score: Option<f64> = self.command(&["ZSCORE", &key, &member]).await;
        score.is_some()
    }

    /// The name of one of the spike's keys.
    pub(crate) fn key(&self, kind: &str) -> String {
        format!("spike:{{{}}}:{kind}", self.spike_id)
    }

    /// Sends a command behind the wrapper's back.
    pub(crate) async fn command<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut cmd = redis::cmd(words[0]);
        cmd.arg(&words[1..]);
        cmd.query_async(&mut self.redis).await.unwrap()
    }

    /// All keys of the spike as they are now, for [`Kit::roll_back`].
    pub(crate) async fn snapshot(&mut self) -> Copies {
        let mut copies = Vec::new();
        for kind in ["sale", "free", "buyers", "held", "pending", "retiring"] {
            let key = self.key(kind);
            let copy = self.command(&["DUMP", &key]).await;
            copies.push((key, copy));
        }
        copies
    }

    /// Makes Redis show an older state, as after a failover or a restart.
    pub(crate) async fn roll_back(&mut self, copies: &Copies) {
        for (key, copy) in copies {
            let _: u32 = self.command(&["DEL", key]).await;
            if let Some(copy) = copy {
                let mut restore = redis::cmd("RESTORE");
                restore.arg(key).arg(0).arg(copy.as_slice());
                restore.exec_async(&mut self.redis).await.unwrap();
            }
        }
    }
}

/// A live order's claim, as the store would say it.
pub(crate) fn claim(placed: &OrderPlaced) -> Claim {
    Claim {
        order_id: placed.order_id,
        user_id: placed.user_id,
        units: placed.units.clone(),
    }
}

/// A supply that was read from the store.
pub(crate) fn known(
    free: impl IntoIterator<Item = Unit>,
    orders: &[&OrderPlaced],
    retired: impl IntoIterator<Item = Unit>,
) -> Supply {
    Supply::Known {
        free: units(free),
        claims: orders.iter().map(|placed| claim(placed)).collect(),
        retired: units(retired),
    }
}

/// An hour ago.
pub(crate) fn an_hour_ago(stock: &Stock) -> Timestamp {
    stock.now() - Duration::from_hours(1)
}
