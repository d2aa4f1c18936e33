//! Pay, cancel and expire at the same moment, many times over.

use std::{sync::Arc, time::Duration};

use ::store::{Orders as _, Placement, Spikes as _};
use axum::Router;
use domain::{Order, OrderId, OrderPlaced, OrderState, Spike, Timestamp, UserId};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sale::{LoadOutcome, Loadable};
use stock::{Request, Reserved, Stock};
use tokio::task::JoinHandle;

use crate::{
    actors,
    check::{self, Checks},
    connection::Connection,
    plan::{self, BEGINS_AT_MS, Plan},
    steps::{Choice, Port, Steps},
    store::MemoryStore,
    world::{Part, World},
};

/// Orders of one world; each is raced for by itself.
const AT_ONCE: u8 = 5;
const RACES: u64 = 100_000;

/// Each order is paid, cancelled and expired at once: one of them wins, whoever was told so is right, late money is on
/// record, and what was not paid for is on offer again, in Redis and in the store, to everybody.
#[test]
fn fault_18_of_pay_cancel_and_expire_one_wins_a_hundred_thousand_times() {
    let threads = 2;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                let mut won = [0_u64; 3];
                for seed in 0..RACES / u64::from(AT_ONCE) / threads {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_time()
                        .start_paused(true)
                        .build()
                        .unwrap();
                    runtime.block_on(race(seed * threads + thread, &mut won));
                }
                assert!(won.iter().all(|count| *count > 100), "{won:?}");
            });
        }
    });
}

/// One sale, and who may end its orders.
#[derive(Clone)]
struct Ring {
    world: World,
    spike: Spike,
    stock: Stock,
    store: Arc<MemoryStore>,
    port: Port,
    till: Router,
}

impl Ring {
    async fn new(world: World, mut spike: Spike) -> Self {
        (spike.top, spike.settings.stock) = (AT_ONCE.into(), AT_ONCE.into());
        spike.settings.starts_at = Timestamp::from_millis(BEGINS_AT_MS);
        spike.settings.rules.clear();
        world.store.add_spike(&spike).await.unwrap();
        let port = Port {
            steps: world.steps.clone(),
            instance: 2,
        };
        let connection = Connection {
            server: world.server.clone(),
            port: port.clone(),
        };
        Self {
            stock: Stock::new(connection, world.steps.clock(0), world.loads()),
            store: Arc::new(world.store.of(port.clone())),
            till: world.start(1, Part::Till, 0),
            world,
            spike,
            port,
        }
    }

    /// Every unit is bought, as `spike` and `order-writer` do it; their payment is due at once.
    async fn sell(self, ids: Vec<OrderId>) {
        let Self {
            world,
            spike,
            stock,
            store,
            ..
        } = self;
        let loaded = sale::load(&*store, &stock, spike.id, Loadable::Live).await;
        assert_eq!(loaded.unwrap(), LoadOutcome::Loaded);
        for (order_id, number) in ids.into_iter().zip(0..) {
            let (spike_id, user_id) = (spike.id, plan::user_id(number));
            let request = Request {
                spike_id,
                user_id,
                order_id,
                quantity: 1,
                verdict: None,
            };
            let reserved = stock.reserve(&request).await.unwrap();
            let Reserved::Won(units) = reserved else {
                panic!("{reserved:?}");
            };
            let placed = OrderPlaced {
                order_id,
                spike_id,
                user_id,
                units,
            };
            let order = Order::placed(&placed, spike.settings.price, stock.now(), Duration::ZERO);
            let answers = store.place(std::slice::from_ref(&order)).await;
            assert!(matches!(answers[..], [Ok(Placement::Written)]));
            assert!(stock.ack(&placed).await.unwrap());
            world.book().promised.insert(order_id, (spike_id, user_id));
        }
    }

    /// Those who end one order.
    fn race_for(&self, id: OrderId, user_id: UserId) -> [JoinHandle<()>; 3] {
        let (world, till) = (&self.world, &self.till);
        let pay = actors::pay(world.clone(), till.clone(), id, user_id);
        let cancel = actors::cancel(world.clone(), till.clone(), id, user_id);
        let (store, stock) = (Arc::clone(&self.store), self.stock.clone());
        let payments = world.provider(self.port.clone());
        let expire = async move {
            let now = stock.now();
            let ended = sale::expire_order(&*store, &stock, &*payments, id, now);
            ended.await.unwrap();
        };
        [
            tokio::spawn(pay),
            tokio::spawn(cancel),
            tokio::spawn(expire),
        ]
    }
}

async fn race(seed: u64, won: &mut [u64; 3]) {
    let mut random = StdRng::seed_from_u64(seed);
    let steps = Steps::new(BEGINS_AT_MS, false);
    let world = World::new(steps, &mut random, None);
    let mut plan = Plan::draw(&mut random);
    let ring = Ring::new(world, plan.spikes.remove(0)).await;
    plan.spikes = vec![ring.spike.clone()];
    let world = &ring.world;
    let now = Timestamp::from_millis(BEGINS_AT_MS);
    let ids: Vec<OrderId> = (0..AT_ONCE)
        .map(|_| OrderId::mint(now, random.random()))
        .collect();
    let selling = tokio::spawn(ring.clone().sell(ids.clone()));
    take_turns(world, vec![selling], &mut random).await;
    let tasks: Vec<_> = ids
        .iter()
        .zip(0..)
        .flat_map(|(id, number)| ring.race_for(*id, plan::user_id(number)))
        .collect();
    take_turns(world, tasks, &mut random).await;
    for id in ids {
        won[winner(world, id, seed)] += 1;
    }
    let checked = Checks::default().after_step(world, &plan);
    let checked = checked.and_then(|()| check::at_rest(world));
    assert_eq!(checked, Ok(()), "seed {seed}");
}

/// Lets one after the other take a step until all have ended.
async fn take_turns(world: &World, tasks: Vec<JoinHandle<()>>, random: &mut StdRng) {
    while tasks.iter().any(|task| !task.is_finished()) {
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        let waiting = world.steps.waiting();
        if !waiting.is_empty() {
            let id = waiting[random.random_range(0..waiting.len())];
            world.steps.take(id, Choice::Proceed);
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Who has won: paid, cancelled, expired. Everybody was told the truth, and money is on record.
fn winner(world: &World, id: OrderId, seed: u64) -> usize {
    assert_eq!(world.steps.violation(), None, "seed {seed}");
    let (state, book) = (world.store.state(), world.book());
    let order = &state.orders[&id];
    let winner = match order.state {
        OrderState::Paid => 0,
        OrderState::Cancelled => 1,
        OrderState::Expired => 2,
        other => panic!("seed {seed}: {other:?}"),
    };
    let is = |state| order.state == state;
    assert!(
        !book.paid.contains(&id) || is(OrderState::Paid),
        "seed {seed}: {order:?}"
    );
    assert!(
        !book.cancelled.contains(&id) || is(OrderState::Cancelled),
        "seed {seed}: {order:?}"
    );
    let on_record = order.payment.is_some() || order.refund.is_some();
    assert_eq!(
        book.charged.contains(&id),
        on_record,
        "seed {seed}: {order:?}"
    );
    winner
}
