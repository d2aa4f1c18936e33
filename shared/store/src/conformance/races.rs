//! Promises of [`crate::Orders`] about what happens at once.

use std::collections::HashMap;

use domain::{Order, OrderId, OrderState, Unit, order::Transition};
use futures::future::join_all;
use rand::RngExt;

use super::samples::{
    claims, held_by, later, must_end, must_place, now, payment, placed, placed_by, spike, user_id,
};
use crate::{Claim, Holder, Placement, Store, Transitioned};

async fn place_all_at_once(store: &dyn Store, orders: &[Order]) -> Vec<Placement> {
    let alone = orders
        .iter()
        .map(|order| store.place(std::slice::from_ref(order)));
    let answers = join_all(alone).await;
    answers
        .into_iter()
        .map(|mut answer| answer.remove(0).unwrap())
        .collect()
}

fn written<'a>(orders: &'a [Order], answers: &[Placement]) -> Vec<&'a Order> {
    let both = orders.iter().zip(answers);
    both.filter(|(_, answer)| **answer == Placement::Written)
        .map(|(order, _)| order)
        .collect()
}

/// Two hundred buyers, three units: three orders, and the losers learn who has the units.
pub async fn of_many_who_want_a_unit_one_gets_it(store: &dyn Store) {
    let spike = spike(3);
    let orders: Vec<Order> = (0..200).map(|n| placed(&spike, &[1 + n % 3])).collect();
    let answers = place_all_at_once(store, &orders).await;
    let winners = written(&orders, &answers);
    assert_eq!(winners.len(), 3);
    let mut held: Vec<Claim> = winners.iter().flat_map(|order| held_by(order)).collect();
    held.sort_by_key(|claim| claim.unit);
    assert_eq!(claims(store, &spike).await, held);
    for (order, answer) in orders.iter().zip(&answers) {
        let taken = || {
            held.iter()
                .filter(|claim| order.units.contains(claim.unit))
                .copied()
                .collect()
        };
        assert!(*answer == Placement::Written || *answer == Placement::UnitsTaken(taken()));
    }
}

/// One buyer, two hundred reservations of different units: one order; the others learn of it.
pub async fn a_buyer_who_tries_many_times_gets_one_order(store: &dyn Store) {
    let (user, spike) = (user_id(), spike(200));
    let orders: Vec<Order> = (1..=200)
        .map(|unit| placed_by(user, &spike, &[unit]))
        .collect();
    let answers = place_all_at_once(store, &orders).await;
    let winners = written(&orders, &answers);
    assert_eq!(winners.len(), 1);
    let others = answers
        .iter()
        .filter(|answer| **answer == Placement::BuyerHas(winners[0].id));
    assert_eq!(others.count(), 199);
    assert_eq!(claims(store, &spike).await, held_by(winners[0]));
    assert_eq!(
        store.live_order(spike.id, user).await.unwrap().as_ref(),
        Some(winners[0])
    );
}

/// Two hundred deliveries of one event: one is the writer, the others find its order.
pub async fn one_order_placed_many_times_is_written_once(store: &dyn Store) {
    let spike = spike(9);
    let orders = vec![placed(&spike, &[1, 2, 3]); 200];
    let answers = place_all_at_once(store, &orders).await;
    assert_eq!(written(&orders, &answers).len(), 1);
    let exists = Placement::Exists(Box::new(orders[0].clone()));
    assert_eq!(
        answers.iter().filter(|answer| **answer == exists).count(),
        199
    );
    assert_eq!(claims(store, &spike).await, held_by(&orders[0]));
}

/// Orders of random units, in batches and alone: what is held is exactly what the written orders hold.
pub async fn overlapping_orders_never_share_a_unit(store: &dyn Store) {
    let spike = spike(60);
    let orders: Vec<Order> = (0..200)
        .map(|_| {
            let (first, count) = (
                rand::rng().random_range(1..=57),
                rand::rng().random_range(0..4),
            );
            placed(&spike, &(first..=first + count).collect::<Vec<Unit>>())
        })
        .collect();
    let answers = join_all(orders.chunks(7).map(|batch| store.place(batch))).await;
    let answers: Vec<Placement> = answers.into_iter().flatten().map(Result::unwrap).collect();
    let mut held: Vec<Claim> = written(&orders, &answers)
        .into_iter()
        .flat_map(held_by)
        .collect();
    held.sort_by_key(|claim| claim.unit);
    assert_eq!(claims(store, &spike).await, held);
    for (order, answer) in orders.iter().zip(&answers) {
        if let Placement::UnitsTaken(taken) = answer {
            assert!(!taken.is_empty());
            assert!(
                taken
                    .iter()
                    .all(|claim| order.units.contains(claim.unit) && held.contains(claim))
            );
        }
    }
}

/// Payment, cancellation and expiry in the same moment, round after round: one of them happens.
pub async fn fault_18_of_pay_cancel_and_expire_one_wins(store: &dyn Store) {
    let spike = spike(400);
    for round in 0..20 {
        let orders: Vec<Order> = (1..=20)
            .map(|unit| placed(&spike, &[round * 20 + unit]))
            .collect();
        for answer in store.place(&orders).await {
            assert_eq!(answer.unwrap(), Placement::Written);
        }
        join_all(orders.iter().map(|order| race(store, order))).await;
    }
}

async fn race(store: &dyn Store, order: &Order) {
    let payment = payment(order);
    let end = |transition| store.end(order.id, transition, later(10));
    let (pay, cancel, expire) = futures::join!(
        store.pay(order.id, &payment),
        end(Transition::Cancel),
        end(Transition::Expire)
    );
    let now = store.order(order.id).await.unwrap().unwrap();
    let mut wins = 0;
    for (answer, state) in [
        (pay, OrderState::Paid),
        (cancel, OrderState::Cancelled),
        (expire, OrderState::Expired),
    ] {
        match answer.unwrap() {
            Transitioned::Done(done) => {
                wins += 1;
                assert_eq!((&*done, done.state), (&now, state));
            }
            Transitioned::NotPlaced(other) => assert_eq!(*other, now),
            Transitioned::Unknown => panic!("the order is there"),
        }
    }
    assert_eq!(wins, 1);
    let held = store.claims_on(order.spike_id, &order.units).await.unwrap();
    assert_eq!(
        held,
        if now.state.is_live() {
            held_by(order)
        } else {
            vec![]
        }
    );
    let live = store
        .live_order(order.spike_id, order.user_id)
        .await
        .unwrap();
    assert_eq!(live.is_some(), now.state.is_live());
}

/// A unit changes hands while others try for it: at every moment it has one holder, and each hand-over is real.
pub async fn a_unit_freed_and_taken_again_has_one_holder(store: &dyn Store) {
    let spike = spike(1);
    let mut holder = placed(&spike, &[1]);
    must_place(store, &holder).await;
    let mut ended: HashMap<OrderId, Order> = HashMap::new();
    for _ in 0..20 {
        let rivals: Vec<Order> = (0..10).map(|_| placed(&spike, &[1])).collect();
        let (answers, ended_now) = futures::join!(
            place_all_at_once(store, &rivals),
            must_end(store, &holder, Transition::Cancel)
        );
        ended.insert(holder.id, ended_now);
        let winners = written(&rivals, &answers);
        assert!(winners.len() <= 1);
        if let Some(winner) = winners.first() {
            holder = Order::clone(winner);
        } else {
            holder = placed(&spike, &[1]);
            must_place(store, &holder).await;
        }
        let claim = Claim {
            unit: 1,
            holder: Holder::Order {
                order_id: holder.id,
                user_id: holder.user_id,
            },
        };
        assert_eq!(claims(store, &spike).await, [claim]);
    }
    for order in ended.values() {
        assert_eq!(store.order(order.id).await.unwrap().as_ref(), Some(order));
        let late = store
            .end(order.id, Transition::Expire, now())
            .await
            .unwrap();
        assert_eq!(late, Transitioned::NotPlaced(Box::new(order.clone())));
    }
    assert_eq!(claims(store, &spike).await, held_by(&holder));
}
