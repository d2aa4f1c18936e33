use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use domain::{Clock, Spike, SpikeId, Timestamp};
use http_body_util::BodyExt;
use sale::testing::{Sale, user};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::AppState;

struct Window {
    app: runtime::App,
    ms: Arc<AtomicI64>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Window {
    fn of(sale: &Sale) -> Self {
        let ms = Arc::new(AtomicI64::new(1_700_000_000_000));
        let read = Arc::clone(&ms);
        let clock: Clock = Arc::new(move || Timestamp::from_millis(read.load(Ordering::SeqCst)));
        let state = AppState::new(sale.store.clone(), sale.stock.clone(), &clock);
        Self {
            app: runtime::app(crate::router(state)),
            ms,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (parts, body) = self
            .app
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap(),
        }
    }

    /// The spike, after the second for which an earlier look is kept.
    async fn look(&self, sale: &Sale) -> Value {
        self.ms.fetch_add(1_000, Ordering::SeqCst);
        let answer = self.get(&format!("/spikes/{}", sale.spike.id)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body
    }
}

impl Answer {
    fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), &self.body["code"]),
            (status, &json!(code)),
            "{}",
            self.body
        );
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn a_spike_is_shown_with_what_is_left() {
    let sale = Sale::of(3).await;
    let window = Window::of(&sale);
    sale.reserve(user(), 2).await;
    let list = window.get("/spikes").await;
    assert_eq!(
        (list.status, &list.headers["cache-control"]),
        (StatusCode::OK, &"public, max-age=1".parse().unwrap())
    );
    assert_eq!(list.headers["content-type"], "application/json");
    let settings = &sale.spike.settings;
    let shown = json!({
        "spike_id": sale.spike.id, "name": "Shoes", "description": "", "status": "running",
        "starts_at": settings.starts_at, "ends_at": settings.ends_at, "price": settings.price,
        "limit_per_user": 10, "stock": 3, "left": 1,
    });
    assert_eq!(list.body["spikes"], json!([shown]));
    assert!(serde_json::from_value::<Timestamp>(list.body["server_time"].clone()).is_ok());
    let one = window.get(&format!("/spikes/{}", sale.spike.id)).await;
    assert_eq!(one.headers["cache-control"], "public, max-age=1");
    assert_eq!(
        (&one.body["left"], &one.body["name"]),
        (&json!(1), &json!("Shoes"))
    );
}

#[tokio::test]
async fn the_status_follows_stock_and_pause_within_a_second() {
    let sale = Sale::of(1).await;
    let window = Window::of(&sale);
    assert_eq!(window.look(&sale).await["status"], "running");
    sale.reserve(user(), 1).await;
    let sold_out = window.look(&sale).await;
    assert_eq!(
        (&sold_out["status"], &sold_out["left"]),
        (&json!("sold_out"), &json!(0))
    );
    let mut paused = sale.stored().await;
    (paused.version, paused.paused) = (paused.version + 1, true);
    assert!(
        sale.store
            .replace_spike(&sale.stored().await, &paused)
            .await
            .unwrap()
    );
    sale.stock
        .configure(&stock::Config::of(&paused))
        .await
        .unwrap();
    assert_eq!(window.look(&sale).await["status"], "paused");
}

#[tokio::test]
async fn many_readers_cost_one_look_a_second() {
    let sale = Sale::of(2).await;
    let window = Window::of(&sale);
    assert_eq!(window.get("/spikes").await.body["spikes"][0]["left"], 2);
    sale.reserve(user(), 1).await;
    assert_eq!(window.get("/spikes").await.body["spikes"][0]["left"], 2);
    window.ms.fetch_add(1_000, Ordering::SeqCst);
    assert_eq!(window.get("/spikes").await.body["spikes"][0]["left"], 1);
}

#[tokio::test]
async fn a_spike_that_was_never_loaded_has_all_its_units() {
    let sale = Sale::of(1).await;
    let (now, mut settings) = (sale.stock.now(), sale.spike.settings.clone());
    (settings.stock, settings.starts_at) = (7, now + Duration::from_mins(10));
    let spike = Spike::new(SpikeId::mint(now, random()), settings, now);
    sale.store.add_spike(&spike).await.unwrap();
    let body = Window::of(&sale)
        .get(&format!("/spikes/{}", spike.id))
        .await
        .body;
    assert_eq!(
        (&body["status"], &body["left"]),
        (&json!("upcoming"), &json!(7))
    );
}

#[tokio::test]
async fn redis_away_leaves_only_the_count_open() {
    let mut sale = Sale::of(2).await;
    let window = Window::of(&sale);
    sale.redis.stop();
    let list = window.get("/spikes").await;
    assert_eq!(
        (list.status, &list.body["spikes"][0]["left"]),
        (StatusCode::OK, &Value::Null)
    );
    let one = window.look(&sale).await;
    assert_eq!(
        (&one["left"], &one["status"]),
        (&Value::Null, &json!("running"))
    );
}

#[tokio::test]
async fn the_store_away_is_unavailable() {
    let mut sale = Sale::of(2).await;
    let (away, engine) = store::testing::store().await;
    drop(engine);
    sale.store = away;
    let window = Window::of(&sale);
    for path in ["/spikes".to_owned(), format!("/spikes/{}", sale.spike.id)] {
        let answer = window.get(&path).await;
        answer.assert_problem(503, "unavailable");
        assert_eq!(answer.headers["retry-after"], "1");
    }
}

#[tokio::test]
async fn fault_28_unknown_spikes_are_not_found_and_what_is_no_id_is_malformed() {
    let sale = Sale::of(2).await;
    let window = Window::of(&sale);
    let unknown = SpikeId::mint(sale.stock.now(), random());
    window
        .get(&format!("/spikes/{unknown}"))
        .await
        .assert_problem(404, "no-spike");
    for id in ["x", "%27%20OR%201=1", "..%2f..%2fetc"] {
        window
            .get(&format!("/spikes/{id}"))
            .await
            .assert_problem(400, "malformed");
    }
}

#[test]
fn the_document_lists_the_routes() {
    let paths = crate::openapi().paths.paths;
    assert!(paths.contains_key("/spikes") && paths.contains_key("/spikes/{spike_id}"));
}

/// Random bytes: the last of a random id.
fn random() -> [u8; 10] {
    *user().as_bytes().last_chunk().unwrap()
}
