//! Promises of [`crate::Orders`] about reading many, and of all listings about cursors.

use std::collections::HashSet;

use domain::{Order, OrderId, OrderState, RejectReason, order::Transition};

use super::samples::{
    all_pages, eventually, must_end, must_place, order_id, placed, placed_by, spike, user_id,
};
use crate::{Error, Store};

/// A user's orders, of all spikes and in all states, and nobody else's.
pub async fn a_users_orders_are_listed_newest_first(store: &dyn Store) {
    let (user, sale, other_sale) = (user_id(), spike(99), spike(99));
    let mut expected = Vec::new();
    for (unit, ms) in (1..=12).zip(0..) {
        let spike = if unit % 3 == 0 { &other_sale } else { &sale };
        let order = Order {
            id: order_id(ms),
            ..placed_by(user, spike, &[unit])
        };
        must_place(store, &order).await;
        expected.insert(0, must_end(store, &order, Transition::Cancel).await);
        must_place(store, &placed(spike, &[unit])).await;
    }
    for limit in [1, 5, 12, 1000] {
        let pages = async |cursor: Option<String>, limit| {
            store.orders_page(user, cursor.as_deref(), limit).await
        };
        eventually(
            async || all_pages(limit, pages).await,
            |all| *all == expected,
        )
        .await;
    }
    assert_eq!(
        store.newest_order(sale.id, user).await.unwrap().as_ref(),
        Some(&expected[1])
    );
    assert_eq!(
        store
            .newest_order(other_sale.id, user)
            .await
            .unwrap()
            .as_ref(),
        Some(&expected[0])
    );
    assert_eq!(store.newest_order(spike(1).id, user).await.unwrap(), None);
    assert_eq!(store.newest_order(sale.id, user_id()).await.unwrap(), None);
}

/// However many orders of other spikes the user has made since, up to a thousand.
pub async fn a_spikes_newest_order_is_found_among_many(store: &dyn Store) {
    let (user, sale, other_sale) = (user_id(), spike(9), spike(9));
    let wanted = placed_by(user, &sale, &[1]);
    must_place(store, &wanted).await;
    for ms in 1..=200 {
        let other = Order {
            id: order_id(ms),
            ..placed_by(user, &other_sale, &[2])
        };
        let rejected = Order {
            state: OrderState::Rejected,
            reason: Some(RejectReason::Limit),
            ..other
        };
        store.reject(&rejected).await.unwrap();
    }
    let newest = async || store.newest_order(sale.id, user).await.unwrap();
    eventually(newest, |newest| newest.as_ref() == Some(&wanted)).await;
}

/// Ids may repeat, be unknown and be many.
pub async fn orders_are_read_by_their_ids(store: &dyn Store) {
    let spike = spike(300);
    let orders: Vec<Order> = (1..=230).map(|unit| placed(&spike, &[unit])).collect();
    assert!(
        store
            .place(&orders)
            .await
            .into_iter()
            .all(|answer| answer.is_ok())
    );
    let mut ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
    ids.extend([ids[0], order_id(0), ids[100]]);
    let found = store.orders(&ids).await.unwrap();
    assert_eq!(found.len(), orders.len());
    assert!(found.iter().all(|order| orders.contains(order)));
    let distinct: HashSet<OrderId> = found.iter().map(|order| order.id).collect();
    assert_eq!(distinct.len(), orders.len());
    assert_eq!(store.orders(&[]).await.unwrap(), []);
}

/// Garbage and the cursors of other listings are told apart from an empty page.
pub async fn what_is_no_cursor_is_refused(store: &dyn Store) {
    let (order, user) = (order_id(0), user_id());
    let garbage = [
        String::new(),
        ".".into(),
        "null".into(),
        "\u{0}\u{1f600}".into(),
        "orders".into(),
        "orders.".into(),
        "orders.1".into(),
        format!("orders.{}", order.to_string().to_uppercase()),
        format!("orders.{order}.1"),
        "refunds.1".into(),
        format!("refunds.01.{order}"),
        format!("refunds.x.{order}"),
        format!("users.16.{user}"),
        format!("users.-1.{user}"),
        "users.1.".into(),
        "letters.1.".into(),
        "letters.x.1".into(),
        format!("spikes.dead.1.{order}"),
        format!("spikes.live.1.5.{order}"),
        "x".repeat(100_000),
    ];
    for cursor in &garbage {
        let cursor = Some(cursor.as_str());
        assert!(
            matches!(store.users_page(cursor, 5).await, Err(Error::Cursor)),
            "{cursor:?}"
        );
        assert!(
            matches!(store.spikes_page(cursor, 5).await, Err(Error::Cursor)),
            "{cursor:?}"
        );
        assert!(
            matches!(store.orders_page(user, cursor, 5).await, Err(Error::Cursor)),
            "{cursor:?}"
        );
        assert!(
            matches!(store.refunds_page(cursor, 5).await, Err(Error::Cursor)),
            "{cursor:?}"
        );
        assert!(
            matches!(store.dead_letters_page(cursor, 5).await, Err(Error::Cursor)),
            "{cursor:?}"
        );
    }
    assert_eq!(store.orders_page(user, None, 0).await.unwrap().items, []);
    assert_eq!(
        store.orders_page(user, None, u32::MAX).await.unwrap().items,
        []
    );
}
