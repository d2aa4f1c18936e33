//! Pay, cancel and expire at the same moment, many times over.

use std::{sync::Arc, time::Duration};

use ::store::{Orders as _, Placement, Spikes as _};
use domain::{Order, OrderId, OrderPlaced, OrderState, Timestamp};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use stock::Stock;
use tokio::task::JoinHandle;

use crate::{
    actors,
    connection::Connection,
    plan::{self, BEGINS_AT_MS, Plan},
    steps::{Choice, Port, Steps},
    world::{Part, World},
};

/// Orders of one world; each is raced for by itself.
const AT_ONCE: u8 = 5;
const RACES: u64 = 100_000;

/// Each order is paid, cancelled and expired at once: one of them wins, whoever was told so is right, and late money is on
/// record.
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

async fn race(seed: u64, won: &mut [u64; 3]) {
    let mut random = StdRng::seed_from_u64(seed);
    let steps = Steps::new(BEGINS_AT_MS, false);
    let world = World::new(steps, &mut random, None);
    let mut spike = Plan::draw(&mut random).spikes.remove(0);
    (spike.top, spike.settings.stock) = (AT_ONCE.into(), AT_ONCE.into());
    world.store.add_spike(&spike).await.unwrap();
    let till = world.start(1, Part::Till, 0);
    let port = Port {
        steps: world.steps.clone(),
        instance: 2,
    };
    let connection = Connection {
        server: world.server.clone(),
        port: port.clone(),
    };
    let stock = Stock::new(connection, world.steps.clock(0));
    let sweeper = Arc::new(world.store.of(port.clone()));
    let mut tasks = Vec::new();
    let mut orders = Vec::new();
    for number in 0..AT_ONCE {
        let user_id = plan::user_id(number);
        let now = Timestamp::from_millis(BEGINS_AT_MS);
        let placed = OrderPlaced {
            order_id: OrderId::mint(now, random.random()),
            spike_id: spike.id,
            user_id,
            units: [u32::from(number) + 1].into_iter().collect(),
        };
        let order = Order::placed(&placed, spike.settings.price, now, Duration::ZERO);
        let answers = world.store.place(std::slice::from_ref(&order)).await;
        assert!(matches!(answers[..], [Ok(Placement::Written)]));
        let id = order.id;
        orders.push(id);
        tasks.push(tokio::spawn(actors::pay(
            world.clone(),
            till.clone(),
            id,
            user_id,
        )));
        tasks.push(tokio::spawn(actors::cancel(
            world.clone(),
            till.clone(),
            id,
            user_id,
        )));
        let (store, stock) = (Arc::clone(&sweeper), stock.clone());
        let payments = world.provider(port.clone());
        tasks.push(tokio::spawn(async move {
            let now = stock.now();
            let ended = sale::expire_order(&*store, &stock, &*payments, id, now);
            ended.await.unwrap();
        }));
    }
    take_turns(&world, &tasks, &mut random).await;
    for task in tasks {
        task.await.unwrap();
    }
    for id in orders {
        won[winner(&world, id, seed)] += 1;
    }
}

async fn take_turns(world: &World, tasks: &[JoinHandle<()>], random: &mut StdRng) {
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
