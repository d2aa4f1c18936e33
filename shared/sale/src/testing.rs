//! A sale over a real Redis and the embedded store, for tests.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{
    Currency, Money, Order, OrderId, OrderPlaced, Spike, SpikeId, Timestamp, Units, UserId,
    spike::Settings,
};
use payments::TestMode;
use stock::{Request, Reserved, Stock, UnitState, testing::Redis};
use store::{Holder, Placement, Store};

use crate::{Loadable, load};

/// One spike that runs now, in the store and in Redis.
pub struct Sale {
    /// A store of its own.
    pub store: Arc<dyn Store>,
    /// A Redis of its own.
    pub redis: Redis,
    /// The stock in it.
    pub stock: Stock,
    /// The payment provider.
    pub payments: Arc<TestMode>,
    /// The spike as it was made.
    pub spike: Spike,
    _engine: store::testing::Guard,
}

/// A user that nobody else is.
#[must_use]
pub fn user() -> UserId {
    UserId::mint(Timestamp::from_millis(1_700_000_000_000), rand::random())
}

impl Sale {
    /// A sale of `units`, of which everybody may buy up to ten.
    ///
    /// # Panics
    /// If Redis or the engine does not start.
    pub async fn of(units: u32) -> Self {
        Self::with(|settings| settings.stock = units).await
    }

    /// A sale of ten units with other settings.
    ///
    /// # Panics
    /// If Redis or the engine does not start.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let (store, engine) = store::testing::store().await;
        let redis = stock::testing::redis();
        let stock = redis.stock(stock::testing::clock()).await;
        let now = stock.now();
        let mut settings = Settings {
            name: "Shoes".into(),
            description: String::new(),
            stock: 10,
            limit_per_user: 10,
            price: Money {
                amount_minor: 100,
                currency: currency(),
            },
            starts_at: now - Duration::from_mins(1),
            ends_at: now + Duration::from_hours(1),
            pay_within_secs: 900,
            rules: Vec::new(),
            expected_buyers: None,
        };
        change(&mut settings);
        let spike = Spike::new(SpikeId::mint(now, rand::random()), settings, now);
        assert!(must(store.add_spike(&spike).await));
        must(load(store.as_ref(), &stock, spike.id, Loadable::Ended).await);
        Self {
            store,
            redis,
            payments: Arc::new(TestMode::new(stock.clock())),
            stock,
            spike,
            _engine: engine,
        }
    }

    /// What Redis says to this user's wish for units.
    ///
    /// # Panics
    /// If Redis does not answer.
    pub async fn ask(&self, user_id: UserId, quantity: u32) -> (OrderId, Reserved) {
        let order_id = OrderId::mint(self.stock.now(), rand::random());
        let spike_id = self.spike.id;
        let request = Request {
            spike_id,
            user_id,
            order_id,
            quantity,
            verdict: None,
        };
        (order_id, must(self.stock.reserve(&request).await))
    }

    /// Units for this user, reserved and pending.
    ///
    /// # Panics
    /// If Redis has none.
    pub async fn reserve(&self, user_id: UserId, quantity: u32) -> OrderPlaced {
        match self.ask(user_id, quantity).await {
            (order_id, Reserved::Won(units)) => OrderPlaced {
                order_id,
                spike_id: self.spike.id,
                user_id,
                units,
            },
            (_, other) => panic!("no units: {other:?}"),
        }
    }

    /// Writes the order of a reservation past the writer: Redis is not told.
    ///
    /// # Panics
    /// If the store has anything against it.
    pub async fn place(&self, placed: &OrderPlaced) -> Order {
        let price = self.spike.settings.price;
        let order = Order::placed(placed, price, self.stock.now(), self.spike.pay_within());
        let answers = self.store.place(std::slice::from_ref(&order)).await;
        assert!(
            matches!(answers.as_slice(), [Ok(Placement::Written)]),
            "{answers:?}"
        );
        order
    }

    /// A reservation that Redis knows nothing of: it had these units before Redis lost them.
    #[must_use]
    pub fn lost(&self, units: &[u32]) -> OrderPlaced {
        let order_id = OrderId::mint(self.stock.now(), rand::random());
        let units = units.iter().copied().collect();
        OrderPlaced {
            order_id,
            spike_id: self.spike.id,
            user_id: user(),
            units,
        }
    }

    /// The order as the store has it.
    ///
    /// # Panics
    /// If there is none.
    pub async fn order(&self, id: OrderId) -> Order {
        must(self.store.order(id).await).unwrap_or_else(|| panic!("no order {id}"))
    }

    /// The spike as the store has it.
    ///
    /// # Panics
    /// If there is none.
    pub async fn stored(&self) -> Spike {
        must(self.store.spike(self.spike.id).await).unwrap_or_else(|| panic!("no spike"))
    }

    /// Checks I1, I2 and I4 at rest: units, buyers and claims say the same on both sides, and nothing is pending or being
    /// retired; the free units.
    ///
    /// # Panics
    /// If one does not hold.
    pub async fn check_at_rest(&self) -> Units {
        let top = self.stored().await.top;
        let states = must(self.stock.units(self.spike.id, 1, top).await);
        let states = states.unwrap_or_else(|| panic!("the sale is not loaded"));
        let claims = must(self.store.claims(self.spike.id, 1, top).await);
        let (mut free, mut buyers) = (Vec::new(), BTreeMap::new());
        for (unit, state) in (1..).zip(&states) {
            let claim = claims
                .iter()
                .find(|claim| claim.unit == unit)
                .map(|claim| claim.holder);
            match (claim, state) {
                (None, UnitState::OnOffer) => free.push(unit),
                (Some(Holder::House), UnitState::House | UnitState::Missing) => {}
                (
                    Some(Holder::Order { order_id, user_id }),
                    UnitState::Held {
                        order_id: held_by, ..
                    },
                ) => {
                    assert_eq!(order_id, *held_by, "unit {unit}");
                    let order = self.order(order_id).await;
                    assert!(
                        order.state.is_live() && order.units.contains(unit),
                        "{order:?}"
                    );
                    let live = must(self.store.live_order(self.spike.id, user_id).await);
                    assert_eq!(live.map(|live| live.id), Some(order_id));
                    buyers.insert(user_id, (order_id, order.units));
                }
                other => panic!("unit {unit} differs: {other:?}"),
            }
        }
        let sale = must(self.stock.sale(self.spike.id).await);
        assert_eq!(
            sale.map(|sale| (sale.pending, sale.retiring)),
            Some((0, 0)),
            "something is pending or being retired"
        );
        assert_eq!(self.buyers().await, buyers, "the buyers that Redis shows");
        free.into_iter().collect()
    }

    async fn buyers(&self) -> BTreeMap<UserId, (OrderId, Units)> {
        let (mut buyers, mut cursor) = (BTreeMap::new(), None);
        loop {
            let page = must(self.stock.buyers_page(self.spike.id, cursor).await);
            let holds = page.holds.into_iter();
            buyers.extend(holds.map(|(user_id, order_id, units)| (user_id, (order_id, units))));
            cursor = page.next;
            if cursor.is_none() {
                return buyers;
            }
        }
    }
}

fn currency() -> Currency {
    must("EUR".parse())
}

fn must<T, E: std::fmt::Debug>(answer: Result<T, E>) -> T {
    answer.unwrap_or_else(|error| panic!("{error:?}"))
}
