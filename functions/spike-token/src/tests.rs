use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use auth::{PathTokens, testing};
use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use domain::{Clock, Gate, Spike, SpikeId, Timestamp, UserId};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use stock::{Config, Load, Stock, Supply, testing::Redis};
use tower::ServiceExt;

use crate::AppState;

const SECRET: &[u8] = &[7; 32];

struct Fixture {
    app: runtime::App,
    stock: Stock,
    /// This instance's clock, which Redis' clock moves with.
    ms: Arc<AtomicI64>,
}

impl Fixture {
    async fn new(redis: &Redis) -> Self {
        let ms = Arc::new(AtomicI64::new(1_700_000_000_000));
        let read = Arc::clone(&ms);
        let clock: Clock = Arc::new(move || Timestamp::from_millis(read.load(Ordering::SeqCst)));
        let stock = redis.stock(Arc::clone(&clock)).await;
        let path_tokens = PathTokens::new(SECRET).unwrap();
        let authenticator = testing::authenticator(stock.clock());
        let state = AppState::new(stock.clone(), authenticator, path_tokens, clock);
        Self {
            app: runtime::app(crate::router(state)),
            stock,
            ms,
        }
    }

    /// Loads a sale that opens and ends so many ms from now.
    async fn sale(&self, starts_in: i64, ends_in: i64, gate: Gate) -> SpikeId {
        let now = self.stock.now();
        let at = |ms| Timestamp::from_millis(now.as_millis() + ms);
        let settings = serde_json::from_value(json!({
            "name": "Shoes", "stock": 3, "price": { "amount_minor": 100, "currency": "EUR" },
            "starts_at": at(starts_in), "ends_at": at(ends_in),
        }));
        let spike = Spike::new(SpikeId::mint(now, auth::random()), settings.unwrap(), now);
        let config = Config {
            gate,
            ..Config::of(&spike)
        };
        let load = Load {
            config,
            top: 3,
            epoch: 1,
            supply: Supply::Untouched,
        };
        let lock = self.stock.lock_loading(spike.id).await.unwrap().unwrap();
        self.stock.load(&load, &lock).await.unwrap();
        spike.id
    }

    async fn post(
        &self,
        spike_id: impl ToString,
        user_id: UserId,
    ) -> (StatusCode, HeaderMap, Value) {
        let token = testing::token_for(user_id, &[], self.stock.now());
        let path = format!("/spikes/{}/token", spike_id.to_string());
        let request = Request::post(path).header("authorization", format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
        let (parts, body) = self
            .app
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            parts.status,
            parts.headers,
            serde_json::from_slice(&body).unwrap(),
        )
    }
}

fn user(n: u8) -> UserId {
    UserId::mint(Timestamp::from_millis(1), [n; 10])
}

#[tokio::test]
async fn a_token_of_a_running_sale_is_its_users_own() {
    let fixture = Fixture::new(stock::testing::shared()).await;
    let spike_id = fixture.sale(-1_000, 60_000, Gate::Open).await;
    let (status, headers, body) = fixture.post(spike_id, user(1)).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    assert_eq!(headers["cache-control"], "no-store");
    let (tokens, token) = (
        PathTokens::new(SECRET).unwrap(),
        body["token"].as_str().unwrap(),
    );
    let now = fixture.stock.now();
    assert!(tokens.verify(spike_id, user(1), now, token));
    assert!(!tokens.verify(spike_id, user(2), now, token));
    assert_eq!(body["server_time"], json!(now));
    assert_eq!(body["valid_until"], json!(PathTokens::valid_until(now)));
}

#[tokio::test]
async fn a_paused_sale_gives_tokens_for_when_it_goes_on() {
    let fixture = Fixture::new(stock::testing::shared()).await;
    let spike_id = fixture.sale(-1_000, 60_000, Gate::Paused).await;
    assert_eq!(fixture.post(spike_id, user(1)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn before_the_start_it_says_when_to_come_back() {
    let fixture = Fixture::new(stock::testing::shared()).await;
    for (starts_in, secs) in [(1, "1"), (1_500, "2"), (3_600_000, "30")] {
        let spike_id = fixture.sale(starts_in, 7_200_000, Gate::Open).await;
        let (status, headers, body) = fixture.post(spike_id, user(1)).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::TOO_EARLY, &json!("too-early"))
        );
        assert_eq!(headers["retry-after"], secs);
    }
    let spike_id = fixture.sale(1_500, 60_000, Gate::Open).await;
    for (later, expected) in [(1_499, StatusCode::TOO_EARLY), (1, StatusCode::OK)] {
        fixture.ms.fetch_add(later, Ordering::SeqCst);
        assert_eq!(fixture.post(spike_id, user(1)).await.0, expected);
    }
}

#[tokio::test]
async fn an_ended_or_closed_sale_gives_none() {
    let fixture = Fixture::new(stock::testing::shared()).await;
    let over = fixture.sale(-2_000, -1, Gate::Open).await;
    let closed = fixture.sale(-2_000, 60_000, Gate::Closed).await;
    for spike_id in [over, closed] {
        let (status, _, body) = fixture.post(spike_id, user(1)).await;
        assert_eq!((status, &body["code"]), (StatusCode::GONE, &json!("ended")));
    }
}

#[tokio::test]
async fn an_absent_sale_is_unknown_only_if_redis_has_all() {
    let redis = stock::testing::redis();
    let fixture = Fixture::new(&redis).await;
    let absent = SpikeId::mint(fixture.stock.now(), auth::random());
    let (status, headers, body) = fixture.post(absent, user(1)).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("loading"))
    );
    assert_eq!(headers["retry-after"], "1");
    fixture.stock.mark_complete().await.unwrap();
    let (status, _, body) = fixture.post(absent, user(1)).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::NOT_FOUND, &json!("no-spike"))
    );
}

#[tokio::test]
async fn redis_away_is_unavailable_and_what_is_known_is_not_forgotten() {
    let mut redis = stock::testing::redis();
    let fixture = Fixture::new(&redis).await;
    let known = fixture.sale(-1_000, 60_000, Gate::Open).await;
    let unknown = fixture.sale(-1_000, 60_000, Gate::Open).await;
    assert_eq!(fixture.post(known, user(1)).await.0, StatusCode::OK);
    redis.stop();
    assert_eq!(fixture.post(known, user(1)).await.0, StatusCode::OK);
    let (status, headers, body) = fixture.post(unknown, user(1)).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable"))
    );
    assert_eq!(headers["retry-after"], "1");
}

#[tokio::test]
async fn nobody_in_particular_gets_no_token() {
    let fixture = Fixture::new(stock::testing::shared()).await;
    let spike_id = fixture.sale(-1_000, 60_000, Gate::Open).await;
    let path = format!("/spikes/{spike_id}/token");
    let (status, headers, body) = fixture
        .send(Request::post(path).body(Body::empty()).unwrap())
        .await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::UNAUTHORIZED, &json!("unauthorized"))
    );
    assert_eq!(headers["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn fault_28_what_is_no_id_is_malformed_and_not_echoed() {
    let fixture = Fixture::new(stock::testing::shared()).await;
    for id in [
        "x",
        "%27%20OR%201=1",
        "..%2f..%2fetc",
        "a%0d%0aSet-Cookie:%20b",
        "%ff",
    ] {
        let (status, _, body) = fixture.post(id, user(1)).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::BAD_REQUEST, &json!("malformed")),
            "{id}"
        );
        assert!(!body.to_string().contains("OR 1=1") && !body.to_string().contains("Cookie"));
    }
}

#[tokio::test]
async fn an_unknown_id_is_looked_up_again_after_a_second() {
    let redis = stock::testing::redis();
    let fixture = Fixture::new(&redis).await;
    fixture.stock.mark_complete().await.unwrap();
    let now = fixture.stock.now();
    let spike_id = fixture.sale(-1_000, 60_000, Gate::Open).await;
    redis.flush().await;
    fixture.stock.mark_complete().await.unwrap();
    assert_eq!(
        fixture.post(spike_id, user(1)).await.0,
        StatusCode::NOT_FOUND
    );
    let settings = json!({
        "name": "Shoes", "stock": 3, "price": { "amount_minor": 100, "currency": "EUR" },
        "starts_at": now, "ends_at": now + Duration::from_mins(1),
    });
    let spike = Spike::new(spike_id, serde_json::from_value(settings).unwrap(), now);
    let load = Load {
        config: Config::of(&spike),
        top: 3,
        epoch: 1,
        supply: Supply::Untouched,
    };
    let lock = fixture.stock.lock_loading(spike_id).await.unwrap().unwrap();
    fixture.stock.load(&load, &lock).await.unwrap();
    assert_eq!(
        fixture.post(spike_id, user(1)).await.0,
        StatusCode::NOT_FOUND
    );
    fixture.ms.fetch_add(1_000, Ordering::SeqCst);
    assert_eq!(fixture.post(spike_id, user(1)).await.0, StatusCode::OK);
}

#[test]
fn the_document_lists_the_route() {
    assert!(
        crate::openapi()
            .paths
            .paths
            .contains_key("/spikes/{spike_id}/token")
    );
}
