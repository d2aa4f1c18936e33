use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use auth::testing;
use axum::{
    body::Body,
    http::{Request, StatusCode, request::Builder},
};
use domain::{
    Clock, Money, Order, OrderId, OrderPlaced, Role, SpikeId, Timestamp, UserId,
    order::{Payment, Transition},
};
use payments::{ChargeError, Method, NoAnswer, Payments, TestMode};
use runtime::testing::Answer;
use serde_json::{Value, json};
use store::{Placement, Store};

use crate::AppState;

fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

fn clock() -> Clock {
    Arc::new(now)
}

fn user() -> UserId {
    UserId::mint(now(), auth::random())
}

struct Desk {
    store: Arc<dyn Store>,
    payments: Arc<dyn Payments>,
    _engine: store::testing::Guard,
}

fn assert_paid(answer: &Answer) -> &Value {
    assert_eq!(answer.assert_json()["state"], "paid");
    &answer.body
}

impl Desk {
    async fn open() -> Self {
        let (store, engine) = store::testing::store().await;
        Self {
            store,
            payments: Arc::new(TestMode::new(clock())),
            _engine: engine,
        }
    }

    async fn order(&self) -> Order {
        let placed = OrderPlaced {
            order_id: OrderId::mint(now(), auth::random()),
            spike_id: SpikeId::mint(now(), auth::random()),
            user_id: user(),
            units: [1, 2].into_iter().collect(),
        };
        let price = Money {
            amount_minor: 100,
            currency: "EUR".parse().unwrap(),
        };
        let order = Order::placed(&placed, price, now(), Duration::from_mins(15));
        let placements = self.store.place(std::slice::from_ref(&order)).await;
        assert!(matches!(placements.as_slice(), [Ok(Placement::Written)]));
        order
    }

    async fn pay(&self, order: &Order, method: &str) -> Answer {
        self.pay_as(
            order.user_id,
            order.id,
            &json!({ "method": method }).to_string(),
        )
        .await
    }

    async fn pay_as(&self, user_id: UserId, order_id: impl ToString, body: &str) -> Answer {
        let request = Request::post(format!("/orders/{}/pay", order_id.to_string()));
        let request = request.header("content-type", "application/json");
        self.send(user_id, &[], request, body.to_owned()).await
    }

    async fn refunds(&self, roles: &[Role], query: &str) -> Answer {
        let request = Request::get(format!("/admin/refunds{query}"));
        self.send(user(), roles, request, String::new()).await
    }

    async fn send(
        &self,
        user_id: UserId,
        roles: &[Role],
        request: Builder,
        body: String,
    ) -> Answer {
        let token = testing::token_for(user_id, roles, now());
        let request = request.header("authorization", format!("Bearer {token}"));
        self.call(request.body(Body::from(body)).unwrap()).await
    }

    async fn call(&self, request: Request<Body>) -> Answer {
        let (store, payments) = (self.store.clone(), self.payments.clone());
        let state = AppState {
            store,
            payments,
            authenticator: testing::authenticator(clock()),
            clock: clock(),
        };
        let app = runtime::app(crate::router(state));
        runtime::testing::send(app, request).await
    }
}

/// Test mode whose orders end while the money is on its way, or that does not answer.
struct Provider {
    inner: TestMode,
    ends: Option<Arc<dyn Store>>,
    away: bool,
}

#[async_trait]
impl Payments for Provider {
    async fn charge(
        &self,
        order_id: OrderId,
        total: Money,
        method: Method,
    ) -> Result<Payment, ChargeError> {
        let payment = self.inner.charge(order_id, total, method).await?;
        if let Some(store) = &self.ends {
            store
                .end(order_id, Transition::Expire, now())
                .await
                .unwrap();
        }
        if self.away {
            Err(ChargeError::Unavailable("no answer".into()))
        } else {
            Ok(payment)
        }
    }

    async fn close(&self, order_id: OrderId) -> Result<Option<Payment>, NoAnswer> {
        self.inner.close(order_id).await
    }
}

#[tokio::test]
async fn an_order_is_charged_once_however_often_it_is_paid() {
    let desk = Desk::open().await;
    let order = desk.order().await;
    let first = desk.pay(&order, "test-approve").await;
    let payment = &assert_paid(&first)["payment"];
    assert_eq!(
        payment["amount"],
        json!({ "amount_minor": 200, "currency": "EUR" })
    );
    for method in ["test-approve", "test-decline"] {
        assert_eq!(assert_paid(&desk.pay(&order, method).await), &first.body);
    }
}

#[tokio::test]
async fn after_a_declined_payment_another_may_do() {
    let desk = Desk::open().await;
    let order = desk.order().await;
    desk.pay(&order, "test-decline")
        .await
        .assert_problem(402, "payment-declined");
    assert_paid(&desk.pay(&order, "test-approve").await);
}

#[tokio::test]
async fn fault_18_money_that_comes_after_the_end_is_owed_back() {
    let mut desk = Desk::open().await;
    let ends = Some(desk.store.clone());
    desk.payments = Arc::new(Provider {
        inner: TestMode::new(clock()),
        ends,
        away: false,
    });
    let order = desk.order().await;
    let late = desk.pay(&order, "test-approve").await;
    late.assert_problem(409, "order-ended");
    assert_eq!(
        late.body["refund"]["payment"]["amount"]["amount_minor"],
        200
    );
    // What the document shows is what comes.
    let members = runtime::Code::OrderEnded.members();
    let [("refund", example)] = members.as_slice() else {
        panic!("{members:?}");
    };
    let names = |value: &Value| -> Vec<String> {
        let object = value.as_object().unwrap();
        object.keys().cloned().collect()
    };
    assert_eq!(names(example), names(&late.body["refund"]));
    for part in ["/payment", "/payment/amount"] {
        let shown = names(example.pointer(part).unwrap());
        assert_eq!(shown, names(late.body["refund"].pointer(part).unwrap()));
    }
    let again = desk.pay(&order, "test-approve").await;
    assert_eq!((again.status, again.body), (late.status, late.body.clone()));
    let list = desk.refunds(&[Role::Admin], "").await;
    assert_eq!(
        (list.status, &list.body["next"]),
        (StatusCode::OK, &Value::Null)
    );
    let refunds = list.body["refunds"].as_array().unwrap();
    assert_eq!(refunds.len(), 1);
    assert_eq!(refunds[0]["user_id"], json!(order.user_id));
    assert_eq!(
        (&refunds[0]["state"], &refunds[0]["refund"]),
        (&json!("expired"), &late.body["refund"])
    );
}

#[tokio::test]
async fn fault_18_a_charge_whose_caller_never_learned_of_it_is_owed_back_too() {
    let mut desk = Desk::open().await;
    let ends = Some(desk.store.clone());
    desk.payments = Arc::new(Provider {
        inner: TestMode::new(clock()),
        ends,
        away: true,
    });
    let order = desk.order().await;
    let lost = desk.pay(&order, "test-approve").await;
    lost.assert_problem(503, "unavailable");
    assert_eq!(lost.headers["retry-after"], "1");
    let ended = desk.pay(&order, "test-approve").await;
    ended.assert_problem(409, "order-ended");
    assert_eq!(
        ended.body["refund"]["payment"]["amount"]["amount_minor"],
        200
    );
}

#[tokio::test]
async fn an_order_that_is_about_to_expire_is_not_charged() {
    let desk = Desk::open().await;
    let order = desk.order().await;
    // The sweeper closes it at the provider before the store ends it.
    assert!(desk.payments.close(order.id).await.unwrap().is_none());
    let refused = desk.pay(&order, "test-approve").await;
    refused.assert_problem(409, "order-ended");
    assert_eq!(refused.body.get("refund"), None);
}

#[tokio::test]
async fn an_ended_order_is_not_charged() {
    let desk = Desk::open().await;
    let order = desk.order().await;
    desk.store
        .end(order.id, Transition::Cancel, now())
        .await
        .unwrap();
    let refused = desk.pay(&order, "test-approve").await;
    refused.assert_problem(409, "order-ended");
    assert_eq!(refused.body.get("refund"), None);
    assert!(desk.payments.close(order.id).await.unwrap().is_none());
}

#[tokio::test]
async fn fault_06_an_order_that_is_not_written_yet_is_asked_for_again() {
    let desk = Desk::open().await;
    let body = r#"{"method":"test-approve"}"#;
    let early = desk
        .pay_as(user(), OrderId::mint(now(), auth::random()), body)
        .await;
    early.assert_problem(404, "no-order");
    assert_eq!(early.headers["retry-after"], "1");
}

#[tokio::test]
async fn fault_27_somebody_elses_order_is_an_unknown_one() {
    let desk = Desk::open().await;
    let order = desk.order().await;
    let body = r#"{"method":"test-approve"}"#;
    let foreign = desk.pay_as(user(), order.id, body).await;
    foreign.assert_problem(404, "no-order");
    let unknown = desk
        .pay_as(user(), OrderId::mint(now(), auth::random()), body)
        .await;
    assert_eq!(
        (foreign.headers, foreign.body),
        (unknown.headers, unknown.body)
    );
    assert!(desk.payments.close(order.id).await.unwrap().is_none());
}

#[tokio::test]
async fn fault_30_refunds_are_for_admins() {
    let desk = Desk::open().await;
    desk.refunds(&[], "").await.assert_problem(403, "forbidden");
    let nobody = Request::get("/admin/refunds").body(Body::empty()).unwrap();
    desk.call(nobody).await.assert_problem(401, "unauthorized");
    desk.refunds(&[Role::Admin], "?cursor=hunter2")
        .await
        .assert_problem(400, "malformed");
    let none = desk.refunds(&[Role::Admin], "").await;
    assert_eq!(
        (none.status, none.body),
        (StatusCode::OK, json!({ "refunds": [], "next": null }))
    );
}

#[tokio::test]
async fn fault_22_a_body_that_is_not_ours_is_refused_before_money_moves() {
    let desk = Desk::open().await;
    let order = desk.order().await;
    for body in [
        "",
        "{",
        "{}",
        r#"{"method":"cash"}"#,
        r#"{"method":"test-approve","amount":1}"#,
    ] {
        desk.pay_as(order.user_id, order.id, body)
            .await
            .assert_problem(400, "malformed");
    }
    desk.pay_as(order.user_id, "x", "{}")
        .await
        .assert_problem(400, "malformed");
    let untyped = Request::post(format!("/orders/{}/pay", order.id));
    let untyped = desk
        .send(order.user_id, &[], untyped, "{}".to_owned())
        .await;
    untyped.assert_problem(415, "unsupported-media-type");
    let nobody = Request::post(format!("/orders/{}/pay", order.id))
        .body(Body::empty())
        .unwrap();
    desk.call(nobody).await.assert_problem(401, "unauthorized");
    assert!(desk.payments.close(order.id).await.unwrap().is_none());
}

#[tokio::test]
async fn the_store_away_is_unavailable() {
    let mut desk = Desk::open().await;
    let order = desk.order().await;
    let (away, engine) = store::testing::store().await;
    drop(engine);
    desk.store = away;
    desk.pay(&order, "test-approve")
        .await
        .assert_problem(503, "unavailable");
    desk.refunds(&[Role::Admin], "")
        .await
        .assert_problem(503, "unavailable");
}

#[test]
fn the_document_lists_the_routes() {
    let paths = crate::openapi().paths.paths;
    assert!(paths.contains_key("/orders/{order_id}/pay") && paths.contains_key("/admin/refunds"));
}

#[test]
fn a_defect_is_internal() {
    let defect = crate::Error::from(store::Error::Corrupt("?".into()));
    let code = runtime::Problem::from(&defect).code();
    assert_eq!(code, runtime::Code::Internal);
}
