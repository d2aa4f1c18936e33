use auth::testing;
use axum::{body::Body, http::Request};
use domain::{Rule, SpikeId, User, UserId, Verdict};
use runtime::testing::Answer;
use sale::testing::{Sale, user};
use serde_json::{Value, json};

use crate::AppState;

trait Told {
    fn assert_verdict(&self, verdict: &Value);
}

impl Told for Answer {
    fn assert_verdict(&self, verdict: &Value) {
        assert_eq!(self.assert_json(), verdict);
    }
}

async fn ask(sale: &Sale, user_id: UserId, spike_id: impl ToString) -> Answer {
    let token = testing::token_for(user_id, &[], sale.stock.now());
    let request = Request::get(format!("/spikes/{}/access", spike_id.to_string()));
    let request = request.header("authorization", format!("Bearer {token}"));
    send(sale, request.body(Body::empty()).unwrap()).await
}

async fn send(sale: &Sale, request: Request<Body>) -> Answer {
    let (store, stock) = (sale.store.clone(), sale.stock.clone());
    let authenticator = testing::authenticator(stock.clock());
    let state = AppState::new(store, stock, authenticator, &stock::testing::clock());
    let app = runtime::app(crate::router(state));
    runtime::testing::send(app, request).await
}

async fn sale_for_adults() -> Sale {
    let rule = Rule {
        name: "adults".into(),
        allow_if: "user.attributes.age >= 18".into(),
        reason: "Only for adults.".into(),
    };
    Sale::with(|settings| settings.rules = vec![rule]).await
}

async fn account(sale: &Sale, name: &str, age: u32) -> UserId {
    let account = User {
        id: user(),
        username: name.parse().unwrap(),
        password_hash: None,
        credentials_version: 1,
        display_name: None,
        attributes: json!({ "age": age }).as_object().unwrap().clone(),
        roles: Vec::new(),
        version: 1,
        created_at: sale.stock.now(),
    };
    sale.store
        .add_users(std::slice::from_ref(&account))
        .await
        .unwrap();
    account.id
}

fn allowed() -> Value {
    json!({ "allowed": true, "reason": null })
}

fn denied(reason: &str) -> Value {
    json!({ "allowed": false, "reason": reason })
}

#[tokio::test]
async fn the_rules_decide_and_redis_remembers() {
    let sale = sale_for_adults().await;
    let (adult, child) = (
        account(&sale, "adult", 18).await,
        account(&sale, "child", 17).await,
    );
    ask(&sale, adult, sale.spike.id)
        .await
        .assert_verdict(&allowed());
    ask(&sale, child, sale.spike.id)
        .await
        .assert_verdict(&denied("Only for adults."));
    let remembered = sale.stock.verdict(sale.spike.id, child).await.unwrap();
    assert_eq!(remembered, Some(Verdict::Denied("Only for adults.".into())));
    let other = Verdict::Denied("As remembered.".into());
    sale.stock
        .remember_verdict(sale.spike.id, adult, &other)
        .await
        .unwrap();
    ask(&sale, adult, sale.spike.id)
        .await
        .assert_verdict(&denied("As remembered."));
}

#[tokio::test]
async fn a_spike_without_rules_admits_everybody() {
    let sale = Sale::of(1).await;
    ask(&sale, user(), sale.spike.id)
        .await
        .assert_verdict(&allowed());
}

#[tokio::test]
async fn a_live_spike_that_redis_does_not_have_is_loaded() {
    let sale = Sale::of(1).await;
    sale.redis.flush().await;
    ask(&sale, user(), sale.spike.id)
        .await
        .assert_verdict(&allowed());
    assert_eq!(
        sale.stock
            .sale(sale.spike.id)
            .await
            .unwrap()
            .map(|sale| sale.left),
        Some(1)
    );
}

#[tokio::test]
async fn an_ended_spike_is_not_loaded() {
    let end = |settings: &mut domain::spike::Settings| {
        settings.ends_at = settings.starts_at + std::time::Duration::from_secs(1);
    };
    let sale = Sale::with(end).await;
    sale.redis.flush().await;
    ask(&sale, user(), sale.spike.id)
        .await
        .assert_verdict(&allowed());
    assert_eq!(sale.stock.sale(sale.spike.id).await.unwrap(), None);
}

#[tokio::test]
async fn redis_away_costs_the_memory_not_the_answer() {
    let mut sale = sale_for_adults().await;
    let child = account(&sale, "child", 17).await;
    sale.redis.stop();
    ask(&sale, child, sale.spike.id)
        .await
        .assert_verdict(&denied("Only for adults."));
}

#[tokio::test]
async fn the_store_away_is_unavailable() {
    let mut sale = sale_for_adults().await;
    let (away, engine) = store::testing::store().await;
    drop(engine);
    sale.store = away;
    let answer = ask(&sale, user(), sale.spike.id).await;
    answer.assert_problem(503, "unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn who_and_what_have_to_be_said() {
    let sale = Sale::of(1).await;
    let unknown = SpikeId::mint(sale.stock.now(), auth::random());
    ask(&sale, user(), unknown)
        .await
        .assert_problem(404, "no-spike");
    for id in ["x", "%27%20OR%201=1"] {
        ask(&sale, user(), id)
            .await
            .assert_problem(400, "malformed");
    }
    let bare = Request::get(format!("/spikes/{}/access", sale.spike.id))
        .body(Body::empty())
        .unwrap();
    send(&sale, bare).await.assert_problem(401, "unauthorized");
}

#[test]
fn the_document_lists_the_route() {
    assert!(
        crate::openapi()
            .paths
            .paths
            .contains_key("/spikes/{spike_id}/access")
    );
}
