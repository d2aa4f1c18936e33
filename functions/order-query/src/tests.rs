use auth::testing;
use axum::{body::Body, http::Request};
use domain::{Order, OrderId, RejectReason, UserId, order::Transition};
use runtime::testing::Answer;
use sale::testing::{Sale, user};
use serde_json::{Value, json};

use crate::AppState;

fn app(sale: &Sale) -> runtime::App {
    let (store, stock) = (sale.store.clone(), sale.stock.clone());
    let authenticator = testing::authenticator(stock.clock());
    runtime::app(crate::router(AppState {
        store,
        stock,
        authenticator,
    }))
}

async fn get(sale: &Sale, user_id: UserId, path: &str) -> Answer {
    let token = testing::token_for(user_id, &[], sale.stock.now());
    let request = Request::get(path).header("authorization", format!("Bearer {token}"));
    send(sale, request.body(Body::empty()).unwrap()).await
}

async fn send(sale: &Sale, request: Request<Body>) -> Answer {
    runtime::testing::send(app(sale), request).await
}

fn mine(sale: &Sale) -> String {
    format!("/spikes/{}/order", sale.spike.id)
}

#[tokio::test]
async fn a_queued_order_is_seen_before_it_is_written() {
    let sale = Sale::of(3).await;
    let placed = sale.reserve(user(), 2).await;
    let queued = get(&sale, placed.user_id, &mine(&sale)).await;
    let expected = json!({ "order_id": placed.order_id, "spike_id": sale.spike.id, "quantity": 2, "state": "queued" });
    assert_eq!(queued.assert_json(), &expected);
    assert_eq!(queued.headers["retry-after"], "1");
    sale.place(&placed).await;
    let written = get(&sale, placed.user_id, &mine(&sale)).await;
    let body = written.assert_json();
    assert_eq!(
        (&body["state"], &body["units"]),
        (&json!("placed"), &json!([1, 2]))
    );
    assert_eq!(
        body["total"],
        json!({ "amount_minor": 200, "currency": "EUR" })
    );
    assert!(!written.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn an_ended_order_is_seen_before_and_after_its_units_are_released() {
    let sale = Sale::of(3).await;
    let placed = sale.reserve(user(), 1).await;
    let order = sale.place(&placed).await;
    sale.store
        .end(order.id, Transition::Expire, sale.stock.now())
        .await
        .unwrap();
    let body = get(&sale, placed.user_id, &mine(&sale)).await.body;
    assert_eq!(
        (&body["state"], &body["units"]),
        (&json!("expired"), &json!([1]))
    );
    let ended = sale.order(order.id).await;
    sale::finish_release(&*sale.store, &sale.stock, &ended)
        .await
        .unwrap();
    assert_eq!(get(&sale, placed.user_id, &mine(&sale)).await.body, body);
}

#[tokio::test]
async fn a_rejected_order_gives_its_reason() {
    let sale = Sale::of(3).await;
    let lost = sale.lost(&[1]);
    let price = sale.spike.settings.price;
    let rejected = Order::rejected(&lost, RejectReason::SoldOut, price, sale.stock.now());
    sale.store.reject(&rejected).await.unwrap();
    let answer = get(&sale, lost.user_id, &mine(&sale)).await;
    let body = answer.assert_json();
    assert_eq!(
        (&body["state"], &body["reason"]),
        (&json!("rejected"), &json!("sold-out"))
    );
    assert_eq!(body["units"], json!([]));
}

#[tokio::test]
async fn while_the_spike_is_live_no_order_may_become_one() {
    let sale = Sale::of(3).await;
    let none = get(&sale, user(), &mine(&sale)).await;
    none.assert_problem(404, "no-order");
    assert_eq!(none.headers["retry-after"], "1");
    let over = Sale::with(|settings| {
        settings.ends_at = settings.starts_at + std::time::Duration::from_secs(1);
    })
    .await;
    let unknown = format!(
        "/spikes/{}/order",
        domain::SpikeId::mint(sale.stock.now(), auth::random())
    );
    for path in [mine(&over), unknown] {
        let none = get(&over, user(), &path).await;
        none.assert_problem(404, "no-order");
        assert!(!none.headers.contains_key("retry-after"));
    }
}

#[tokio::test]
async fn orders_are_listed_to_their_owner_only() {
    let sale = Sale::of(3).await;
    let (ada, eve) = (sale.reserve(user(), 1).await, sale.reserve(user(), 1).await);
    let order = sale.place(&ada).await;
    sale.place(&eve).await;
    let list = get(&sale, ada.user_id, "/orders").await;
    let body = list.assert_json();
    assert_eq!(body["next"], Value::Null);
    let ids: Vec<_> = body["orders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| &order["order_id"])
        .collect();
    assert_eq!(ids, [&json!(order.id)]);
    let one = get(&sale, ada.user_id, &format!("/orders/{}", order.id)).await;
    assert_eq!(one.assert_json(), &body["orders"][0]);
    assert_eq!(
        get(&sale, user(), "/orders").await.assert_json(),
        &json!({ "orders": [], "next": null })
    );
}

#[tokio::test]
async fn fault_27_somebody_elses_order_is_an_unknown_one() {
    let sale = Sale::of(3).await;
    let placed = sale.reserve(user(), 1).await;
    sale.place(&placed).await;
    let eve = user();
    let foreign = get(&sale, eve, &format!("/orders/{}", placed.order_id)).await;
    foreign.assert_problem(404, "no-order");
    let unknown = OrderId::mint(sale.stock.now(), auth::random());
    let unknown = get(&sale, eve, &format!("/orders/{unknown}")).await;
    assert_eq!(
        (foreign.headers, foreign.body),
        (unknown.headers, unknown.body)
    );
}

#[tokio::test]
async fn a_bad_cursor_or_id_is_malformed() {
    let sale = Sale::of(3).await;
    let paths = [
        "/orders?cursor=hunter2",
        "/orders?page=2",
        "/orders/x",
        "/orders/%27%20OR%201=1",
        "/spikes/x/order",
    ];
    for path in paths {
        let refused = get(&sale, user(), path).await;
        refused.assert_problem(400, "malformed");
        assert!(!refused.body.to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn nobody_in_particular_has_no_orders() {
    let sale = Sale::of(3).await;
    for path in [
        mine(&sale),
        "/orders".to_owned(),
        format!("/orders/{}", sale.lost(&[1]).order_id),
    ] {
        let refused = send(&sale, Request::get(path).body(Body::empty()).unwrap()).await;
        refused.assert_problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn what_cannot_be_known_is_unavailable() {
    let mut sale = Sale::of(3).await;
    let placed = sale.reserve(user(), 1).await;
    sale.place(&placed).await;
    sale.redis.stop();
    get(&sale, placed.user_id, &mine(&sale)).await.assert_json();
    let unknown = get(&sale, user(), &mine(&sale)).await;
    unknown.assert_problem(503, "unavailable");
    assert_eq!(unknown.headers["retry-after"], "1");
    let (away, engine) = store::testing::store().await;
    drop(engine);
    sale.store = away;
    for path in [mine(&sale), "/orders".to_owned()] {
        get(&sale, placed.user_id, &path)
            .await
            .assert_problem(503, "unavailable");
    }
}

#[tokio::test]
async fn fault_14_while_the_store_is_away_a_promised_order_is_queued() {
    let mut sale = Sale::of(3).await;
    let placed = sale.reserve(user(), 1).await;
    let (away, engine) = store::testing::store().await;
    drop(engine);
    sale.store = away;
    let queued = get(&sale, placed.user_id, &mine(&sale)).await;
    let body = queued.assert_json();
    assert_eq!(
        (&body["order_id"], &body["state"]),
        (&json!(placed.order_id), &json!("queued"))
    );
    assert_eq!(queued.headers["retry-after"], "1");
    // What was acknowledged is in the store, in whatever state.
    sale.stock.ack(&placed).await.unwrap();
    let unknown = get(&sale, placed.user_id, &mine(&sale)).await;
    unknown.assert_problem(503, "unavailable");
}

#[test]
fn the_document_lists_the_routes() {
    let paths = crate::openapi().paths.paths;
    for path in ["/spikes/{spike_id}/order", "/orders", "/orders/{order_id}"] {
        assert!(paths.contains_key(path), "{path}");
    }
}

#[test]
fn a_defect_is_internal() {
    let defects = [
        crate::Error::from(store::Error::Corrupt("?".into())),
        crate::Error::from(stock::Error::Unreadable("?".into())),
    ];
    for error in defects {
        assert_eq!(
            runtime::Problem::from(&error).code(),
            runtime::Code::Internal
        );
    }
}
