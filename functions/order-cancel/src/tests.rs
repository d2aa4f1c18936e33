use auth::testing;
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use domain::{
    Order, OrderId, RejectReason, UserId,
    order::{Payment, Transition},
};
use runtime::testing::Answer;
use sale::testing::{Sale, user};
use serde_json::json;
use stock::Reserved;

use crate::AppState;

async fn cancel(sale: &Sale, user_id: UserId, order_id: impl ToString) -> Answer {
    let token = testing::token_for(user_id, &[], sale.stock.now());
    let request = Request::post(format!("/orders/{}/cancel", order_id.to_string()));
    let request = request.header("authorization", format!("Bearer {token}"));
    send(sale, request.body(Body::empty()).unwrap()).await
}

async fn send(sale: &Sale, request: Request<Body>) -> Answer {
    let (store, stock) = (sale.store.clone(), sale.stock.clone());
    let authenticator = testing::authenticator(stock.clock());
    let app = runtime::app(crate::router(AppState {
        store,
        stock,
        payments: sale.payments.clone(),
        authenticator,
    }));
    runtime::testing::send(app, request).await
}

#[tokio::test]
async fn fault_19_a_unit_comes_back_once_and_the_answer_stays() {
    let sale = Sale::of(1).await;
    let placed = sale.reserve(user(), 1).await;
    sale.place(&placed).await;
    let first = cancel(&sale, placed.user_id, placed.order_id).await;
    assert_eq!(
        (first.status, &first.body["state"]),
        (StatusCode::OK, &json!("cancelled"))
    );
    assert_eq!(first.headers["content-type"], "application/json");
    assert!(sale.order(placed.order_id).await.released);
    let (_, again) = sale.ask(user(), 1).await;
    assert!(matches!(again, Reserved::Won(_)), "{again:?}");
    let second = cancel(&sale, placed.user_id, placed.order_id).await;
    assert_eq!((second.status, second.body), (StatusCode::OK, first.body));
    let (_, none) = sale.ask(user(), 1).await;
    assert_eq!(
        none,
        Reserved::SoldOut { left: 0 },
        "the unit came back once"
    );
}

#[tokio::test]
async fn fault_19_a_paid_order_is_kept() {
    let sale = Sale::of(1).await;
    let placed = sale.reserve(user(), 1).await;
    let order = sale.place(&placed).await;
    let now = sale.stock.now();
    let payment = Payment {
        payment_id: "p".into(),
        amount: order.total,
        paid_at: now,
    };
    sale.store.pay(order.id, &payment).await.unwrap();
    cancel(&sale, placed.user_id, order.id)
        .await
        .assert_problem(409, "order-paid");
    assert_eq!(sale.ask(user(), 1).await.1, Reserved::SoldOut { left: 0 });
}

#[tokio::test]
async fn an_expired_or_rejected_order_is_over() {
    let sale = Sale::of(1).await;
    let placed = sale.reserve(user(), 1).await;
    sale.place(&placed).await;
    sale.store
        .end(placed.order_id, Transition::Expire, sale.stock.now())
        .await
        .unwrap();
    cancel(&sale, placed.user_id, placed.order_id)
        .await
        .assert_problem(409, "order-ended");
    let lost = sale.lost(&[1]);
    let price = sale.spike.settings.price;
    let rejected = Order::rejected(&lost, RejectReason::Limit, price, sale.stock.now());
    sale.store.reject(&rejected).await.unwrap();
    cancel(&sale, lost.user_id, lost.order_id)
        .await
        .assert_problem(409, "order-ended");
}

#[tokio::test]
async fn fault_06_an_order_that_is_not_written_yet_is_asked_for_again() {
    let sale = Sale::of(1).await;
    let placed = sale.reserve(user(), 1).await;
    let early = cancel(&sale, placed.user_id, placed.order_id).await;
    early.assert_problem(404, "no-order");
    assert_eq!(early.headers["retry-after"], "1");
    sale.place(&placed).await;
    assert_eq!(
        cancel(&sale, placed.user_id, placed.order_id).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn fault_27_somebody_elses_order_is_an_unknown_one() {
    let sale = Sale::of(1).await;
    let placed = sale.reserve(user(), 1).await;
    sale.place(&placed).await;
    let foreign = cancel(&sale, user(), placed.order_id).await;
    foreign.assert_problem(404, "no-order");
    let unknown = cancel(
        &sale,
        user(),
        OrderId::mint(sale.stock.now(), auth::random()),
    )
    .await;
    assert_eq!(
        (foreign.headers, foreign.body),
        (unknown.headers, unknown.body)
    );
    assert!(sale.order(placed.order_id).await.state.is_live());
}

#[tokio::test]
async fn redis_away_leaves_the_units_to_the_sweeper() {
    let mut sale = Sale::of(1).await;
    let placed = sale.reserve(user(), 1).await;
    sale.place(&placed).await;
    sale.redis.stop();
    assert_eq!(
        cancel(&sale, placed.user_id, placed.order_id).await.status,
        StatusCode::OK
    );
    assert!(!sale.order(placed.order_id).await.released);
}

#[tokio::test]
async fn the_store_away_is_unavailable() {
    let mut sale = Sale::of(1).await;
    let placed = sale.reserve(user(), 1).await;
    let (away, engine) = store::testing::store().await;
    drop(engine);
    sale.store = away;
    let answer = cancel(&sale, placed.user_id, placed.order_id).await;
    answer.assert_problem(503, "unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn who_and_what_have_to_be_said() {
    let sale = Sale::of(1).await;
    cancel(&sale, user(), "x")
        .await
        .assert_problem(400, "malformed");
    let path = format!("/orders/{}/cancel", sale.lost(&[1]).order_id);
    send(&sale, Request::post(path).body(Body::empty()).unwrap())
        .await
        .assert_problem(401, "unauthorized");
}

#[test]
fn the_document_lists_the_route() {
    assert!(
        crate::openapi()
            .paths
            .paths
            .contains_key("/orders/{order_id}/cancel")
    );
}

#[test]
fn a_defect_is_internal() {
    let defects = [crate::Error::from(store::Error::Corrupt("?".into()))];
    for error in defects {
        assert_eq!(
            runtime::Problem::from(&error).code(),
            runtime::Code::Internal
        );
    }
}
