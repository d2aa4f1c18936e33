use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use domain::OrderPlaced;
use events::{EventSink, SendError, testing::Answer};
use sale::testing::user;
use serde_json::json;

use super::shop::{Shop, send};

#[tokio::test]
async fn a_winner_is_told_where_the_order_will_be() {
    let shop = Shop::of(3).await;
    let ada = user();
    let answer = shop.buy_many(ada, 2).await;
    let order_id = answer.order_id();
    assert_eq!(answer.body, json!({ "order_id": order_id, "quantity": 2 }));
    assert_eq!(answer.headers["location"], shop.location().as_str());
    let arrived = shop.sink.take();
    assert_eq!(arrived.len(), 1);
    assert_eq!(
        (
            arrived[0].order_id,
            arrived[0].user_id,
            arrived[0].units.len()
        ),
        (order_id, ada, 2)
    );
}

#[tokio::test]
async fn without_a_body_it_is_one_unit() {
    let shop = Shop::of(3).await;
    assert_eq!(shop.buy(user()).await.body["quantity"], 1);
    assert_eq!(shop.buy_with(user(), "{}").await.body["quantity"], 1);
}

#[tokio::test]
async fn fault_02_every_further_try_gets_the_same_order_whatever_its_quantity() {
    let shop = Shop::of(5).await;
    let ada = user();
    let order_id = shop.buy_many(ada, 2).await.order_id();
    for quantity in [2, 1, 10] {
        let answer = shop.buy_many(ada, quantity).await;
        assert_eq!(
            (answer.order_id(), &answer.body["quantity"]),
            (order_id, &json!(2))
        );
    }
    let arrived = shop.sink.take();
    assert_eq!(
        arrived.len(),
        4,
        "while it is pending each try publishes the same event"
    );
    assert!(arrived.iter().all(|event| *event == arrived[0]));
    assert!(shop.sale.stock.ack(&arrived[0]).await.unwrap());
    shop.pass(1_000);
    assert_eq!(shop.buy(ada).await.order_id(), order_id);
    assert_eq!(
        shop.sink.take(),
        [],
        "what is durable is not published again"
    );
}

#[tokio::test]
async fn fault_01_a_reservation_that_was_never_published_is_found_again() {
    let shop = Shop::of(1).await;
    let ada = user();
    // The script ran, and the process died before the publish.
    let placed = shop.sale.reserve(ada, 1).await;
    assert_eq!(shop.buy(ada).await.order_id(), placed.order_id);
    assert_eq!(shop.sink.take(), [placed]);
}

#[tokio::test]
async fn fault_03_what_is_not_acknowledged_is_kept_and_published_again() {
    let shop = Shop::of(1).await;
    let ada = user();
    for answer in [Answer::LoseEvent, Answer::LoseAnswer, Answer::Refuse] {
        shop.sink.answer(answer);
        let unconfirmed = shop.buy(ada).await;
        unconfirmed.assert_problem(503, "unconfirmed");
        assert_eq!(unconfirmed.headers["retry-after"], "1");
        assert_eq!(unconfirmed.headers["location"], shop.location().as_str());
    }
    shop.buy(user()).await.assert_problem(409, "sold-out");
    shop.sink.answer(Answer::Ack);
    let order_id = shop.buy(ada).await.order_id();
    let hold = shop
        .sale
        .stock
        .hold(shop.sale.spike.id, ada)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((hold.order_id, hold.pending), (order_id, true));
    assert!(
        shop.sink
            .take()
            .iter()
            .all(|event| event.order_id == order_id)
    );
}

/// A broker that never answers.
struct Silent;

#[async_trait]
impl EventSink for Silent {
    async fn send(&self, _: &[OrderPlaced]) -> Vec<Result<(), SendError>> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn fault_03_a_silent_broker_is_not_waited_for() {
    let shop = Shop::of(1).await;
    let ada = user();
    let request = shop.purchase(ada).body(Body::empty()).unwrap();
    send(&shop.instance(Arc::new(Silent)), request)
        .await
        .assert_problem(503, "unconfirmed");
    let hold = shop
        .sale
        .stock
        .hold(shop.sale.spike.id, ada)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(shop.buy(ada).await.order_id(), hold.order_id);
}

#[tokio::test]
async fn fault_11_a_wiped_redis_is_filled_again_by_the_next_buyer() {
    let shop = Shop::of(3).await;
    let ada = shop.sale.reserve(user(), 2).await;
    shop.sale.place(&ada).await;
    shop.sale.redis.flush().await;
    shop.buy(user()).await.order_id();
    shop.buy(user()).await.assert_problem(409, "sold-out");
    assert_eq!(
        shop.buy(ada.user_id).await.order_id(),
        ada.order_id,
        "who has an order keeps it"
    );
}

#[tokio::test]
async fn fault_14_buyers_are_served_while_the_store_is_away() {
    let mut shop = Shop::of(1).await;
    let (away, engine) = store::testing::store().await;
    drop(engine);
    shop.sale.store = away;
    let app = shop.instance(shop.sink.clone());
    send(&app, shop.purchase(user()).body(Body::empty()).unwrap())
        .await
        .order_id();
}

#[tokio::test]
async fn the_rules_admit_whom_they_admit() {
    let rule = domain::Rule {
        name: "named".into(),
        allow_if: "user.attributes.age >= 18".into(),
        reason: "Only for adults.".into(),
    };
    let shop = Shop::with(super::shop::NO_BUCKET, |settings| {
        settings.rules = vec![rule];
    })
    .await;
    let (adult, child) = (account("adult", 18), account("child", 17));
    shop.sale
        .store
        .add_users(&[adult.clone(), child.clone()])
        .await
        .unwrap();
    shop.buy(adult.id).await.order_id();
    let denied = shop.buy(child.id).await;
    denied.assert_problem(403, "denied");
    assert_eq!(denied.body["detail"], "Only for adults.");
    shop.buy(user()).await.assert_problem(403, "denied");
}

fn account(name: &str, age: u32) -> domain::User {
    domain::User {
        id: user(),
        username: name.parse().unwrap(),
        password_hash: None,
        credentials_version: 1,
        display_name: None,
        attributes: json!({ "age": age }).as_object().unwrap().clone(),
        roles: Vec::new(),
        version: 1,
        created_at: domain::Timestamp::from_millis(1),
    }
}
