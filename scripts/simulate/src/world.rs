//! The simulated system: its processes, which run the shipped code, and what lies between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use auth::{PathTokens, testing::authenticator};
use axum::Router;
use domain::{Money, OrderId, OrderPlaced, SpikeId, UserId, order::Payment};
use events::{EventSink, SendError, envelope};
use http::StatusCode;
use payments::{ChargeError, Method, NoAnswer, Payments, TestMode};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use stock::Stock;

use crate::{
    connection::{Connection, Server},
    mutation::Mutation,
    steps::{At, Choice, Instance, Port, Steps},
    store::MemoryStore,
};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Sells.
    Spike,
    /// Writes orders.
    Writer,
    /// Sweeps.
    Sweeper,
    /// Takes payments and cancellations.
    Till,
    /// Serves the admin.
    Admin,
    /// Shows buyers their orders.
    Query,
}

/// The processes: two of those of which there usually are many.
pub const PARTS: [Part; 9] = [
    Part::Spike,
    Part::Spike,
    Part::Writer,
    Part::Writer,
    Part::Sweeper,
    Part::Sweeper,
    Part::Till,
    Part::Admin,
    Part::Query,
];

/// An event on its way.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its number.
    pub id: u64,
    /// The envelope.
    pub body: Vec<u8>,
    /// Whether nobody can write it.
    pub is_poison: bool,
}

/// What buyers were told, and what the broker holds.
#[derive(Debug, Default)]
pub struct Book {
    /// Events on their way.
    pub messages: Vec<Message>,
    /// Events that were done: the broker may deliver them again, a day later too.
    pub done: Vec<Vec<u8>>,
    /// Every 202: order, and to whom.
    pub promised: BTreeMap<OrderId, (SpikeId, UserId)>,
    /// Orders of which a payment was confirmed to the buyer.
    pub paid: BTreeSet<OrderId>,
    /// Orders of which the cancellation was confirmed to the buyer.
    pub cancelled: BTreeSet<OrderId>,
    /// How many events were refused for good, because nobody can write them.
    pub buried: u64,
    /// Orders for which money has come.
    pub charged: BTreeSet<OrderId>,
    /// Spikes whose pause was confirmed and whose resumption nobody has asked for.
    pub paused: BTreeSet<SpikeId>,
    /// How many resumptions were asked for, and how many of them were answered.
    pub resumptions: (u32, u32),
    /// What each user was told last who wanted to buy.
    pub told: BTreeMap<UserId, StatusCode>,
    /// What somebody was told last who looked at an order.
    pub seen: BTreeMap<(OrderId, UserId), StatusCode>,
    next: u64,
}

/// Everything that processes share.
#[derive(Clone)]
pub struct World {
    /// The moments of decision.
    pub steps: Steps,
    /// Redis.
    pub server: Server,
    /// The durable store.
    pub store: MemoryStore,
    /// The deliberate defect.
    pub mutation: Option<Mutation>,
    book: Arc<Mutex<Book>>,
    payments: Arc<TestMode>,
    /// What processes draw.
    random: Arc<Mutex<StdRng>>,
    /// How often a process has begun to load a sale.
    loads: Arc<AtomicU64>,
}

impl World {
    /// An empty world.
    pub fn new(steps: Steps, random: &mut StdRng, mutation: Option<Mutation>) -> Self {
        let server = Server::new(StdRng::from_rng(random), mutation);
        Self {
            server,
            store: MemoryStore::new(mutation),
            mutation,
            book: Arc::default(),
            payments: Arc::new(TestMode::new(steps.clock(0))),
            random: Arc::new(Mutex::new(StdRng::from_rng(random))),
            loads: Arc::default(),
            steps,
        }
    }

    /// What buyers were told, and what the broker holds.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Path tokens as every process makes them.
    ///
    /// # Panics
    /// Never: the key is long enough.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a constant that the type accepts")]
    pub fn path_tokens() -> PathTokens {
        PathTokens::new(&[7; 32]).expect("a key")
    }

    /// A process' way to the payment provider.
    #[must_use]
    pub fn provider(&self, port: Port) -> Arc<dyn Payments> {
        let world = self.clone();
        Arc::new(Provider { world, port })
    }

    /// How processes draw the random part of an id.
    fn draw(&self) -> impl Fn() -> [u8; 10] + Send + Sync + 'static {
        let random = Arc::clone(&self.random);
        let same_ids = self.mutation == Some(Mutation::IdsUsedTwice);
        move || {
            if same_ids {
                return [7; 10];
            }
            let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
            random.random()
        }
    }

    /// What loaders tell their locks apart by.
    #[must_use]
    pub fn loads(&self) -> stock::Random {
        let loads = Arc::clone(&self.loads);
        Arc::new(move || loads.fetch_add(1, Ordering::Relaxed))
    }

    /// A process that has just started, with nothing in its memory and a clock that is `skew_ms` ahead.
    pub fn start(&self, instance: Instance, part: Part, skew_ms: i64) -> Router {
        let way = Port {
            steps: self.steps.clone(),
            instance,
        };
        let clock = self.steps.clock(skew_ms);
        let connection = Connection {
            server: self.server.clone(),
            port: way.clone(),
        };
        let stock = Stock::new(connection, clock.clone(), self.loads());
        let store = Arc::new(self.store.of(way.clone()));
        let sink = Arc::new(Sink {
            world: self.clone(),
            port: way.clone(),
            part,
        });
        let payments = self.provider(way);
        let authenticator = authenticator(stock.clock());
        match part {
            Part::Spike => {
                let no_bucket = spike::Rates {
                    burst_per_unit: 0,
                    refill_per_unit: 0,
                };
                spike::router(spike::AppState::new(spike::Parts {
                    stock,
                    store,
                    sink,
                    verifier: authenticator.verifier,
                    path_tokens: Self::path_tokens(),
                    clock,
                    random: Arc::new(self.draw()),
                    rates: no_bucket.into(),
                }))
            }
            Part::Writer => order_writer::router(order_writer::AppState::new(store, stock)),
            Part::Sweeper => sweeper::router(sweeper::AppState::new(store, stock, sink, payments)),
            Part::Till => {
                let cancel = order_cancel::AppState {
                    store: store.clone(),
                    stock,
                    payments: payments.clone(),
                    authenticator: authenticator.clone(),
                };
                let pay = order_pay::AppState {
                    store,
                    payments,
                    authenticator,
                    clock,
                };
                order_cancel::router(cancel).merge(order_pay::router(pay))
            }
            Part::Admin => admin_spikes::router(admin_spikes::AppState {
                store,
                stock,
                authenticator,
            }),
            Part::Query => order_query::router(order_query::AppState {
                store,
                stock,
                authenticator,
            }),
        }
    }
}

impl Book {
    /// Puts an event on its way.
    pub fn post(&mut self, body: Vec<u8>, is_poison: bool) {
        self.next += 1;
        self.messages.push(Message {
            id: self.next,
            body,
            is_poison,
        });
    }
}

/// A process' way to the broker.
struct Sink {
    world: World,
    port: Port,
    part: Part,
}

#[async_trait]
impl EventSink for Sink {
    async fn send(&self, events: &[OrderPlaced]) -> Vec<Result<(), SendError>> {
        let mut answers = Vec::new();
        for event in events {
            answers.push(self.send_one(event).await);
        }
        answers
    }
}

impl Sink {
    async fn send_one(&self, event: &OrderPlaced) -> Result<(), SendError> {
        assert!(
            self.world.mutation != Some(Mutation::PublisherPanics),
            "a defect that was asked for"
        );
        let choice = self
            .port
            .enter(At::Broker, || format!("publish {}", event.member()))
            .await;
        let mutation = self.world.mutation;
        let swallowed =
            mutation == Some(Mutation::SweeperPublishesNothing) && self.part == Part::Sweeper;
        if choice != Choice::FailBefore && !swallowed {
            self.world.book().post(envelope::write(event), false);
        }
        if choice != Choice::Proceed {
            self.port.steps.saw("publish without an answer");
            return Err(SendError::Unconfirmed("no answer".into()));
        }
        if mutation == Some(Mutation::PublisherAcknowledges) {
            acknowledge(&self.world, event);
        }
        Ok(())
    }
}

/// A process' way to the payment provider.
struct Provider {
    world: World,
    port: Port,
}

#[async_trait]
impl Payments for Provider {
    async fn charge(
        &self,
        order_id: OrderId,
        total: Money,
        method: Method,
    ) -> Result<Payment, ChargeError> {
        let choice = self
            .port
            .enter(At::Payments, || format!("charge {order_id}"))
            .await;
        if choice == Choice::FailBefore {
            return Err(ChargeError::Unavailable("no answer".into()));
        }
        let mut charged = self.world.payments.charge(order_id, total, method).await;
        if let (Err(ChargeError::Closed), Some(Mutation::ClosedIsCharged)) =
            (&charged, self.world.mutation)
        {
            charged = Ok(Payment {
                payment_id: format!("late-{order_id}"),
                amount: total,
                paid_at: self.world.steps.clock(0)(),
            });
        }
        let payment = charged?;
        self.world.book().charged.insert(order_id);
        if choice == Choice::FailAfter {
            self.port.steps.saw("charge without an answer");
            return Err(ChargeError::Unavailable("no answer".into()));
        }
        Ok(payment)
    }

    async fn close(&self, order_id: OrderId) -> Result<Option<Payment>, NoAnswer> {
        let choice = self
            .port
            .enter(At::Payments, || format!("close the payments of {order_id}"))
            .await;
        if choice == Choice::FailBefore {
            return Err(NoAnswer("no answer".into()));
        }
        if self.world.mutation == Some(Mutation::MoneyIsNotAskedFor) {
            return Ok(None);
        }
        let charged = self.world.payments.close(order_id).await?;
        if choice == Choice::FailAfter {
            return Err(NoAnswer("no answer".into()));
        }
        Ok(charged)
    }
}

/// Takes a reservation out of the outbox, past the writer.
pub fn acknowledge(world: &World, event: &OrderPlaced) {
    let key = format!("spike:{{{}}}:pending", event.spike_id);
    world
        .server
        .intrude(&["ZREM".to_owned(), key, event.member()], &world.steps);
}
