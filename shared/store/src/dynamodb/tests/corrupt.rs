//! Items that nobody should have written are refused by name, and nothing panics.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::order::Transition;

use super::DynamoStore;
use crate::{
    DeadLetters, Error, Orders, Sessions, Spikes, Users,
    conformance::samples::{must_place, now, placed, spike, user},
};

async fn set(
    store: &DynamoStore,
    table: &str,
    id: &str,
    attribute: &str,
    value: Option<AttributeValue>,
) {
    let update = store
        .client
        .update_item()
        .table_name(table)
        .key("id", AttributeValue::S(id.into()));
    let update = update.expression_attribute_names("#attribute", attribute);
    let update = match value {
        Some(value) => update
            .update_expression("SET #attribute = :value")
            .expression_attribute_values(":value", value),
        None => update.update_expression("REMOVE #attribute"),
    };
    update.send().await.unwrap();
}

fn names<T: std::fmt::Debug>(answer: Result<T, Error>, place: &str) {
    match answer {
        Err(Error::Corrupt(text)) => assert_eq!(text, place),
        other => panic!("{place}: {other:?}"),
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: &str) -> AttributeValue {
    AttributeValue::N(value.into())
}

#[tokio::test]
async fn an_order_that_cannot_be_read_is_named() {
    let (store, _guard) = crate::testing::dynamo_store().await;
    let spoilt = [
        ("spike_id", None),
        ("spike_id", Some(number("1"))),
        ("user_id", Some(text("NOT-AN-ID"))),
        ("quantity", Some(number("-1"))),
        ("units", Some(text("2,1"))),
        ("state", Some(text("shipped"))),
        ("reason", Some(text("bored"))),
        ("total_minor", Some(number("0.5"))),
        ("currency", Some(text("euro"))),
        ("placed_at", Some(number("-5"))),
        ("pay_by", Some(number("99999999999999999"))),
        ("ended_at", Some(text("now"))),
        ("payment", Some(text("{}"))),
        ("refund", Some(text("{"))),
        ("released", Some(text("yes"))),
    ];
    for (attribute, value) in spoilt {
        let order = placed(&spike(9), &[1]);
        must_place(&store, &order).await;
        set(&store, "orders", &order.id.to_string(), attribute, value).await;
        let place = format!("orders.{attribute}");
        names(store.order(order.id).await, &place);
        names(store.orders(&[order.id]).await, &place);
        names(
            store.live_order(order.spike_id, order.user_id).await,
            &place,
        );
        names(
            store.place(std::slice::from_ref(&order)).await.remove(0),
            &place,
        );
        names(store.end(order.id, Transition::Cancel, now()).await, &place);
    }
}

#[tokio::test]
async fn a_claim_that_cannot_be_read_is_named() {
    let (store, _guard) = crate::testing::dynamo_store().await;
    let order = placed(&spike(9), &[1]);
    must_place(&store, &order).await;
    let key = format!("{}#unit#1", order.spike_id);
    set(&store, "claims", &key, "order_id", Some(text("#somebody"))).await;
    names(store.claims(order.spike_id, 1, 9).await, "claims.order_id");
    names(
        store.retire_unit(order.spike_id, 1).await,
        "claims.order_id",
    );
    let rival = placed(
        &domain::Spike {
            id: order.spike_id,
            ..spike(9)
        },
        &[1],
    );
    names(store.place(&[rival]).await.remove(0), "claims.order_id");
    // The order does not hold what it should: to end it would free what is another's.
    let ended = store.end(order.id, Transition::Cancel, now()).await;
    names(
        ended,
        "claims.order_id: a placed order does not hold its claims",
    );
    assert_eq!(store.order(order.id).await.unwrap(), Some(order));
}

#[tokio::test]
async fn a_spike_that_cannot_be_read_is_named() {
    let (store, _guard) = crate::testing::dynamo_store().await;
    let spoilt = [
        ("version", None),
        ("settings", Some(text("{\"name\":1}"))),
        ("paused", Some(text("no"))),
        ("top", Some(number("4294967296"))),
        ("retired", Some(number("-1"))),
        ("epoch", Some(text("1"))),
        ("closed", None),
        ("shelf", Some(text("attic"))),
        ("created_at", None),
    ];
    for (attribute, value) in spoilt {
        let spike = spike(9);
        store.add_spike(&spike).await.unwrap();
        set(&store, "spikes", &spike.id.to_string(), attribute, value).await;
        names(store.spike(spike.id).await, &format!("spikes.{attribute}"));
    }
}

#[tokio::test]
async fn what_cannot_be_read_holds_up_no_sweep() {
    let (store, _guard) = crate::testing::dynamo_store().await;
    let (bad, good) = (spike(9), spike(9));
    for sale in [&bad, &good] {
        store.add_spike(sale).await.unwrap();
    }
    set(&store, "spikes", &bad.id.to_string(), "version", None).await;
    assert_eq!(
        store.live_spikes().await.unwrap(),
        std::slice::from_ref(&good)
    );
    let (lost, kept) = (placed(&good, &[1]), placed(&good, &[2]));
    for order in [&lost, &kept] {
        must_place(&store, order).await;
    }
    set(&store, "orders", &lost.id.to_string(), "user_id", None).await;
    let due = store.due(kept.pay_by, 9).await.unwrap();
    assert_eq!(due, [kept]);
}

#[tokio::test]
async fn an_account_a_session_and_a_letter_that_cannot_be_read_are_named() {
    let (store, _guard) = crate::testing::dynamo_store().await;
    for attribute in [
        "user_id",
        "username",
        "attributes",
        "roles",
        "version",
        "created_at",
    ] {
        let user = user();
        store.add_users(std::slice::from_ref(&user)).await.unwrap();
        set(
            &store,
            "users",
            &format!("user#{}", user.id),
            attribute,
            Some(AttributeValue::Bool(true)),
        )
        .await;
        names(store.user(user.id).await, &format!("users.{attribute}"));
        names(
            store.users_by_name(&[user.username]).await,
            &format!("users.{attribute}"),
        );
    }
    set(&store, "sessions", "token#x", "family", Some(text("f"))).await;
    names(store.session("x", now()).await, "sessions.token_hash");
    set(
        &store,
        "sessions",
        "attempts#ada",
        "failures",
        Some(number("-1")),
    )
    .await;
    names(
        store.login_attempts(&"ada".parse().unwrap(), now()).await,
        "sessions.failures",
    );
    set(&store, "dead_letters", "x", "body", Some(text("b"))).await;
    names(store.dead_letter("x").await, "dead_letters.reason");
}
