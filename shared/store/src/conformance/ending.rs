//! Promises of [`crate::Orders`] about transitions.

use domain::{Order, OrderState, Timestamp, order::Transition};
use futures::future::join_all;

use super::samples::{
    PAY_WITHIN, claims, eventually, held_by, later, must_end, must_place, now, order_id, payment,
    place, placed, placed_by, spike,
};
use crate::{Error, Placement, Store, Transitioned};

async fn is_due(store: &dyn Store, order: &Order, now: Timestamp) -> bool {
    store
        .due(now, 1000)
        .await
        .unwrap()
        .iter()
        .any(|due| due.id == order.id)
}

/// The first payment is kept; the order holds what it held and is never due again.
pub async fn a_paid_order_keeps_its_units(store: &dyn Store) {
    let spike = spike(9);
    let order = placed(&spike, &[3]);
    assert_eq!(
        store.pay(order.id, &payment(&order)).await.unwrap(),
        Transitioned::Unknown
    );
    must_place(store, &order).await;
    let paid = Order {
        state: OrderState::Paid,
        payment: Some(payment(&order)),
        ..order.clone()
    };
    let first = store.pay(order.id, &payment(&order)).await.unwrap();
    assert_eq!(first, Transitioned::Done(Box::new(paid.clone())));
    let again = domain::order::Payment {
        payment_id: "other".into(),
        ..payment(&order)
    };
    assert_eq!(
        store.pay(order.id, &again).await.unwrap(),
        Transitioned::NotPlaced(Box::new(paid.clone()))
    );
    assert_eq!(
        store.live_order(spike.id, order.user_id).await.unwrap(),
        Some(paid)
    );
    assert_eq!(claims(store, &spike).await, held_by(&order));
    eventually(
        async || is_due(store, &order, order.pay_by).await,
        |due| !*due,
    )
    .await;
}

/// Units and place are free at once; the order stays, unreleased.
pub async fn an_ended_order_frees_all_it_held(store: &dyn Store) {
    for (transition, state) in [
        (Transition::Cancel, OrderState::Cancelled),
        (Transition::Expire, OrderState::Expired),
    ] {
        let spike = spike(9);
        let (order, other) = (placed(&spike, &[1, 2, 3]), placed(&spike, &[4]));
        assert_eq!(
            store.end(order.id, transition, now()).await.unwrap(),
            Transitioned::Unknown
        );
        must_place(store, &order).await;
        must_place(store, &other).await;
        let ended = must_end(store, &order, transition).await;
        let expected = Order {
            state,
            ended_at: Some(later(10)),
            released: false,
            ..order.clone()
        };
        assert_eq!(ended, expected);
        assert_eq!(
            store.order(order.id).await.unwrap().as_ref(),
            Some(&expected)
        );
        assert_eq!(
            store.live_order(spike.id, order.user_id).await.unwrap(),
            None
        );
        assert_eq!(claims(store, &spike).await, held_by(&other));
        must_place(store, &placed_by(order.user_id, &spike, &[2])).await;
    }
    let wrong = store.end(order_id(0), Transition::Pay, now()).await;
    assert!(matches!(wrong, Err(Error::Corrupt(_))));
}

/// Ten copies of an event, some after the order has ended: one order, and nothing is taken again.
pub async fn fault_05_a_late_duplicate_revives_nothing(store: &dyn Store) {
    let spike = spike(9);
    let order = placed(&spike, &[1, 2]);
    let copies = vec![order.clone(); 10];
    let answers = store.place(&copies).await;
    let written = answers
        .iter()
        .filter(|answer| *answer.as_ref().unwrap() == Placement::Written);
    assert_eq!(written.count(), 1);
    let cancelled = must_end(store, &order, Transition::Cancel).await;
    for _ in 0..3 {
        assert_eq!(
            place(store, &order).await,
            Placement::Exists(Box::new(cancelled.clone()))
        );
    }
    assert_eq!(claims(store, &spike).await, []);
    assert_eq!(
        store.live_order(spike.id, order.user_id).await.unwrap(),
        None
    );
}

/// Cancelling twice, also at once, frees the units once and answers with the same order; after a payment it does nothing.
pub async fn fault_19_cancelling_again_answers_the_same(store: &dyn Store) {
    let spike = spike(9);
    let order = placed(&spike, &[1, 2]);
    must_place(store, &order).await;
    let both =
        join_all((0..8_u64).map(|n| store.end(order.id, Transition::Cancel, later(n)))).await;
    let ended = store.order(order.id).await.unwrap().unwrap();
    let mut done = 0;
    for answer in both {
        match answer.unwrap() {
            Transitioned::Done(order) => {
                done += 1;
                assert_eq!(*order, ended);
            }
            Transitioned::NotPlaced(order) => assert_eq!(*order, ended),
            Transitioned::Unknown => panic!("the order is there"),
        }
    }
    assert_eq!(done, 1);

    // The units are another's now: a late cancellation does not take them away.
    let heir = placed(&spike, &[1, 2]);
    must_place(store, &heir).await;
    let late = store
        .end(order.id, Transition::Cancel, later(99))
        .await
        .unwrap();
    assert_eq!(late, Transitioned::NotPlaced(Box::new(ended)));
    assert_eq!(claims(store, &spike).await, held_by(&heir));

    store.pay(heir.id, &payment(&heir)).await.unwrap();
    let paid = store.order(heir.id).await.unwrap().unwrap();
    for transition in [Transition::Cancel, Transition::Expire] {
        let answer = store.end(heir.id, transition, later(99)).await.unwrap();
        assert_eq!(answer, Transitioned::NotPlaced(Box::new(paid.clone())));
    }
    assert_eq!(claims(store, &spike).await, held_by(&heir));
}

/// The mark stays on ended orders, and is not put on live or unknown ones.
pub async fn only_ended_orders_are_marked_released(store: &dyn Store) {
    let spike = spike(9);
    let (order, paid) = (placed(&spike, &[1]), placed(&spike, &[2]));
    must_place(store, &order).await;
    must_place(store, &paid).await;
    store.pay(paid.id, &payment(&paid)).await.unwrap();
    let unknown = order_id(0);
    for id in [order.id, paid.id, unknown] {
        store.mark_released(id).await.unwrap();
        assert!(
            !store
                .order(id)
                .await
                .unwrap()
                .is_some_and(|order| order.released)
        );
    }
    assert_eq!(store.order(unknown).await.unwrap(), None);
    assert_eq!(store.order(order.id).await.unwrap(), Some(order.clone()));

    let ended = must_end(store, &order, Transition::Expire).await;
    for _ in 0..2 {
        store.mark_released(order.id).await.unwrap();
        assert_eq!(
            store.order(order.id).await.unwrap(),
            Some(Order {
                released: true,
                ..ended.clone()
            })
        );
    }
    eventually(async || is_due(store, &order, later(10)).await, |due| !*due).await;
}

/// Only an ended order that is not released waits; it stays as it is, and is due again in time.
pub async fn an_unreleased_order_can_be_postponed(store: &dyn Store) {
    let spike = spike(9);
    let (order, live) = (placed(&spike, &[1]), placed(&spike, &[2]));
    must_place(store, &order).await;
    must_place(store, &live).await;
    let ended = must_end(store, &order, Transition::Cancel).await;
    for id in [order.id, live.id, order_id(0)] {
        store.postpone(id, later(5000)).await.unwrap();
    }
    assert_eq!(store.order(order.id).await.unwrap(), Some(ended));
    assert_eq!(store.order(live.id).await.unwrap(), Some(live.clone()));
    assert_eq!(store.order(order_id(0)).await.unwrap(), None);
    eventually(
        async || is_due(store, &order, later(4999)).await,
        |due| !*due,
    )
    .await;
    eventually(
        async || is_due(store, &order, later(5000)).await,
        |due| *due,
    )
    .await;
    eventually(async || is_due(store, &live, live.pay_by).await, |due| *due).await;
    // What is released is not due again.
    store.mark_released(order.id).await.unwrap();
    store.postpone(order.id, later(0)).await.unwrap();
    eventually(
        async || is_due(store, &order, later(9999)).await,
        |due| !*due,
    )
    .await;
}

/// A placed order is due when it can no longer be paid, an ended one at once; the oldest come first.
pub async fn what_is_due_is_found_by_its_time(store: &dyn Store) {
    let spike = spike(99);
    let orders: Vec<Order> = (1..=40_u32)
        .map(|n| {
            let order = placed(&spike, &[n]);
            Order {
                pay_by: now() + PAY_WITHIN + std::time::Duration::from_millis(u64::from(n)),
                ..order
            }
        })
        .collect();
    for answer in store.place(&orders).await {
        assert_eq!(answer.unwrap(), Placement::Written);
    }
    let ours = |due: Vec<Order>| -> Vec<_> {
        due.into_iter()
            .map(|due| due.id)
            .filter(|id| orders.iter().any(|order| order.id == *id))
            .collect()
    };
    let due_at = async |now: Timestamp, limit| ours(store.due(now, limit).await.unwrap());
    let ids: Vec<_> = orders.iter().map(|order| order.id).collect();
    assert_eq!(due_at(now() + PAY_WITHIN, 1000).await, []);
    eventually(
        async || due_at(orders[19].pay_by, 1000).await,
        |due| due == &ids[..20],
    )
    .await;
    eventually(
        async || due_at(orders[39].pay_by, 1000).await,
        |due| *due == ids,
    )
    .await;
    assert_eq!(due_at(orders[39].pay_by, 5).await.len(), 5);

    must_end(store, &orders[30], Transition::Cancel).await;
    eventually(
        async || due_at(later(10), 1000).await,
        |due| due == &ids[30..31],
    )
    .await;
}
