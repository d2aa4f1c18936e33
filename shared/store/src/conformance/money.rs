//! Promises of [`crate::Orders`] about money that came too late.

use domain::{
    Order,
    order::{Refund, Transition},
};

use super::samples::{
    all_pages, eventually, later, must_end, must_place, order_id, payment, placed, spike,
};
use crate::{Refunded, Store};

fn refund(order: &Order, ms: u64) -> Refund {
    Refund {
        payment: payment(order),
        recorded_at: later(ms),
    }
}

/// An ended order owes a late payment back, once; a live order owes nothing.
pub async fn a_refund_is_recorded_once(store: &dyn Store) {
    let spike = spike(9);
    let order = placed(&spike, &[1]);
    assert_eq!(
        store.refund(order.id, &refund(&order, 20)).await.unwrap(),
        Refunded::Unknown
    );
    assert_eq!(store.order(order.id).await.unwrap(), None);
    must_place(store, &order).await;
    let live = Refunded::Live(Box::new(order.clone()));
    assert_eq!(
        store.refund(order.id, &refund(&order, 20)).await.unwrap(),
        live
    );

    let ended = must_end(store, &order, Transition::Expire).await;
    let owed = Order {
        refund: Some(refund(&order, 20)),
        ..ended
    };
    let recorded = Refunded::Recorded(Box::new(owed.clone()));
    assert_eq!(
        store.refund(order.id, &refund(&order, 20)).await.unwrap(),
        recorded
    );
    assert_eq!(
        store.refund(order.id, &refund(&order, 30)).await.unwrap(),
        recorded
    );
    assert_eq!(store.order(order.id).await.unwrap(), Some(owed.clone()));
    store.mark_released(order.id).await.unwrap();
    assert_eq!(
        store.order(order.id).await.unwrap(),
        Some(Order {
            released: true,
            ..owed
        })
    );

    let paid = placed(&spike, &[1]);
    must_place(store, &paid).await;
    store.pay(paid.id, &payment(&paid)).await.unwrap();
    assert!(matches!(
        store.refund(paid.id, &refund(&paid, 1)).await.unwrap(),
        Refunded::Live(_)
    ));
    assert_eq!(
        store.refund(order_id(0), &refund(&paid, 1)).await.unwrap(),
        Refunded::Unknown
    );
}

/// The latest debts come first, whatever the size of a page.
pub async fn refunds_are_listed_newest_first(store: &dyn Store) {
    let spike = spike(20);
    let mut expected = Vec::new();
    for (unit, ms) in (1..=15).zip(100..) {
        let order = placed(&spike, &[unit]);
        must_place(store, &order).await;
        must_end(store, &order, Transition::Cancel).await;
        store.refund(order.id, &refund(&order, ms)).await.unwrap();
        expected.insert(0, order.id);
    }
    for limit in [1, 4, 15, 1000] {
        let pages = async |cursor: Option<String>, limit| {
            store.refunds_page(cursor.as_deref(), limit).await
        };
        let ours = async || {
            let all = all_pages(limit, pages).await;
            all.into_iter()
                .map(|order| order.id)
                .filter(|id| expected.contains(id))
                .collect::<Vec<_>>()
        };
        eventually(ours, |all| *all == expected).await;
    }
}
