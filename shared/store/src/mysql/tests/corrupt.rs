//! Rows that nobody should have written are refused by name, and nothing panics.

use super::*;
use crate::{
    DeadLetters, Error, Orders, Placement, Sessions, Spikes, Users,
    conformance::samples::{later, must_place, now, placed, spike, user},
    testing::mysql_store,
};

fn names<T: std::fmt::Debug>(answer: Result<T, Error>, place: &str) {
    match answer {
        Err(Error::Corrupt(text)) => assert_eq!(text, place),
        other => panic!("{place}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_read_is_named_and_harms_no_other() {
    let (store, database) = mysql_store().await;
    let mut beside = connection(database.url()).await;
    let sale = spike(99);
    let good = placed(&sale, &[99]);
    must_place(&store, &good).await;
    for (unit, (column, value)) in (1..).zip([
        ("units", "'2,1'"),
        ("state", "'shipped'"),
        ("reason", "'bored'"),
        ("currency", "'eur'"),
        ("placed_at", "9223372036854775807"),
        ("payment", "'{'"),
        ("refund", "'[]'"),
        ("released", "2"),
        ("settled_by", "'x'"),
    ]) {
        let order = placed(&sale, &[unit]);
        must_place(&store, &order).await;
        let id = hex(order.id.as_bytes());
        run(
            &mut beside,
            format!("UPDATE orders SET {column} = {value} WHERE id = {id}"),
        )
        .await;
        let place = format!("orders.{column}");
        names(store.order(order.id).await, &place);
        names(store.orders(&[order.id, good.id]).await, &place);
        names(store.live_order(sale.id, order.user_id).await, &place);
        names(store.orders_page(order.user_id, None, 5).await, &place);
        let fresh = placed(&sale, &[50 + unit]);
        let mut answers = store.place(&[order, fresh]).await;
        assert!(matches!(answers.pop(), Some(Ok(Placement::Written))));
        names(answers.remove(0), &place);
    }
    let due = store.due(later(10_000_000), 1000).await.unwrap();
    assert!(due.contains(&good));
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_spikes_accounts_and_letters_are_named_too() {
    let (store, database) = mysql_store().await;
    let mut beside = connection(database.url()).await;
    let sale = spike(9);
    must_place(&store, &placed(&sale, &[1])).await;
    run(
        &mut beside,
        "UPDATE claims SET user_id = 'x' WHERE kind = 2",
    )
    .await;
    names(store.claims(sale.id, 1, 9).await, "claims.user_id");

    let good = spike(9);
    assert!(store.add_spike(&sale).await.unwrap());
    assert!(store.add_spike(&good).await.unwrap());
    let id = hex(sale.id.as_bytes());
    run(
        &mut beside,
        format!("UPDATE spikes SET settings = '{{}}' WHERE id = {id}"),
    )
    .await;
    names(store.spike(sale.id).await, "spikes.settings");
    names(store.spikes_page(None, 9).await, "spikes.settings");
    assert_eq!(store.live_spikes().await.unwrap(), [good]);

    let account = user();
    store
        .add_users(std::slice::from_ref(&account))
        .await
        .unwrap();
    run(&mut beside, "UPDATE users SET roles = '[\"king\"]'").await;
    names(store.user(account.id).await, "users.roles");

    run(
        &mut beside,
        "INSERT INTO session_tokens VALUES ('t', x'ff', 'short', 1, 1, '')",
    )
    .await;
    names(store.session("t", now()).await, "session_tokens.family");
    run(
        &mut beside,
        "INSERT INTO dead_letters VALUES (x'ff', '', '', 1, 1, NULL)",
    )
    .await;
    names(store.dead_letters_page(None, 5).await, "dead_letters.id");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_its_claims_is_not_ended() {
    let (store, database) = mysql_store().await;
    let mut beside = connection(database.url()).await;
    let order = placed(&spike(9), &[1, 2]);
    must_place(&store, &order).await;
    run(
        &mut beside,
        "UPDATE claims SET order_id = REVERSE(order_id) WHERE kind = 2",
    )
    .await;
    let ended = store
        .end(order.id, domain::order::Transition::Expire, now())
        .await;
    names(
        ended,
        "claims.order_id: a placed order does not hold its claims",
    );
    assert_eq!(store.order(order.id).await.unwrap(), Some(order));
}
