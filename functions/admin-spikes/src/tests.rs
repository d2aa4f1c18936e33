use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use domain::{Role, SpikeId, Timestamp, UserId};
use http_body_util::BodyExt;
use sale::testing::Sale;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

mod deletion;
mod refusals;
mod steering;

/// The routes over a running sale of ten units, of which everybody may buy all.
struct Rig {
    app: runtime::App,
    sale: Sale,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn is(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), &self.body["code"]),
            (status, &json!(code)),
            "{}",
            self.body
        );
        assert_eq!(
            self.headers[header::CONTENT_TYPE],
            "application/problem+json"
        );
        assert_eq!(
            self.headers.contains_key(header::RETRY_AFTER),
            status == 503
        );
    }

    fn ok(&self) -> &Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.body);
        &self.body
    }

    fn etag(&self) -> &str {
        self.headers[header::ETAG].to_str().unwrap()
    }
}

fn app(store: &Arc<dyn Store>, stock: &Stock) -> runtime::App {
    // Stands still: a token of a minute ahead must stay one, however long the test takes.
    let now = (stock::testing::clock())();
    let authenticator = auth::testing::authenticator(Arc::new(move || now));
    runtime::app(router(AppState {
        store: store.clone(),
        stock: stock.clone(),
        authenticator,
    }))
}

async fn rig() -> Rig {
    let sale = Sale::of(10).await;
    Rig {
        app: app(&sale.store, &sale.stock),
        sale,
    }
}

fn token(roles: &[Role]) -> String {
    let now = (stock::testing::clock())();
    format!(
        "Bearer {}",
        auth::testing::token_for(UserId::mint(now, [1; 10]), roles, now)
    )
}

async fn send(app: &runtime::App, request: Request<Body>) -> Answer {
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

async fn call(
    app: &runtime::App,
    method: Method,
    path: &str,
    if_match: Option<&str>,
    body: Option<Value>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header(header::AUTHORIZATION, token(&[Role::Admin]));
    if let Some(tag) = if_match {
        request = request.header(header::IF_MATCH, tag);
    }
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let body = body.map_or_else(Body::empty, |body| body.to_string().into());
    send(app, request.body(body).unwrap()).await
}

impl Rig {
    fn path(&self) -> String {
        format!("/admin/spikes/{}", self.sale.spike.id)
    }

    async fn get(&self, path: &str) -> Answer {
        call(&self.app, Method::GET, path, None, None).await
    }

    async fn post(&self, path: &str, body: Option<Value>) -> Answer {
        call(&self.app, Method::POST, path, None, body).await
    }

    async fn put(&self, if_match: &str, settings: Value) -> Answer {
        call(
            &self.app,
            Method::PUT,
            &self.path(),
            Some(if_match),
            Some(settings),
        )
        .await
    }

    /// The sale's settings with this stock.
    fn with_stock(&self, stock: u32) -> Value {
        let mut settings = serde_json::to_value(&self.sale.spike.settings).unwrap();
        settings["stock"] = json!(stock);
        settings
    }
}

fn at(now: Timestamp, secs: i64) -> Value {
    json!(Timestamp::from_millis(now.as_millis() + secs * 1000))
}

/// Settings of a spike that starts in an hour.
fn settings() -> Value {
    let now = (stock::testing::clock())();
    json!({
        "name": "Shoes", "stock": 5, "price": { "amount_minor": 4900, "currency": "EUR" },
        "starts_at": at(now, 3600), "ends_at": at(now, 7200),
        "rules": [{ "name": "adults", "allow_if": "user.attributes.age >= 18", "reason": "Only for adults." }],
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut settings = settings();
    settings[field] = value;
    settings
}

fn nowhere() -> String {
    format!(
        "/admin/spikes/{}",
        SpikeId::mint(Timestamp::from_millis(1), [7; 10])
    )
}

#[tokio::test]
async fn a_spike_is_made_loaded_listed_and_shown() {
    let rig = rig().await;
    let made = rig.post("/admin/spikes", Some(settings())).await;
    assert_eq!((made.status, made.etag()), (StatusCode::CREATED, "\"1\""));
    assert_eq!(
        (&made.body["top"], &made.body["status"]),
        (&json!(5), &json!("upcoming"))
    );
    assert_eq!(
        (&made.body["limit_per_user"], &made.body["rules"][0]["name"]),
        (&json!(1), &json!("adults"))
    );
    let location = made.headers[header::LOCATION].to_str().unwrap();
    assert_eq!(
        location,
        format!("/admin/spikes/{}", made.body["spike_id"].as_str().unwrap())
    );

    let id: SpikeId = made.body["spike_id"].as_str().unwrap().parse().unwrap();
    let sale = rig.sale.stock.sale(id).await.unwrap().unwrap();
    assert_eq!(
        (sale.version, sale.top, sale.left, sale.guarded),
        (1, 5, 5, true)
    );
    let shown = rig.get(location).await;
    assert_eq!((shown.ok(), shown.etag()), (&made.body, "\"1\""));
    let listed = rig.get("/admin/spikes").await;
    assert_eq!(listed.ok()["spikes"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&listed.body["spikes"][1], &listed.body["next"]),
        (&made.body, &Value::Null)
    );
}

#[tokio::test]
async fn statistics_compare_both_sides() {
    let rig = rig().await;
    let path = format!("{}/stats", rig.path());
    let stats = || rig.get(&path);
    let user = sale::testing::user();
    let placed = rig.sale.reserve(user, 2).await;
    assert_eq!(
        stats().await.ok()["free_differs"],
        2,
        "a reservation that is not written"
    );
    let order = rig.sale.place(&placed).await;
    assert!(rig.sale.stock.ack(&placed).await.unwrap());
    let settled = stats().await;
    let expected = json!({
        "spike_id": rig.sale.spike.id, "stock": 10, "top": 10, "retired": 0,
        "redis": { "free": 8, "buyers": 1, "pending": 0, "next": 2, "epoch": 1 },
        "store": { "free": 8, "held": 2, "retired": 0 }, "free_differs": 0,
        "balance": {
            "free": 8, "queued": 0, "placed": 2, "paid": 0, "settling": 0, "retired": 0,
            "unreadable": 0, "balances": true,
            "on_the_way": [],
        },
    });
    assert_eq!(settled.ok(), &expected);
    assert_eq!(order.units.len(), 2);
    rig.put("\"1\"", rig.with_stock(7)).await.ok();
    let lowered = stats().await;
    assert_eq!(
        lowered.ok()["store"],
        json!({ "free": 5, "held": 2, "retired": 3 })
    );
    assert_eq!(
        (&lowered.body["free_differs"], &lowered.body["retired"]),
        (&json!(0), &json!(3))
    );
}

/// The balance, the list taken apart, and whether it balances.
async fn balance(rig: &Rig) -> (Value, Vec<Value>, bool) {
    let mut stats = rig.get(&format!("{}/stats", rig.path())).await.ok().clone();
    let mut balance = stats["balance"].take();
    let list = balance.as_object_mut().unwrap().remove("on_the_way");
    let balances = balance.as_object_mut().unwrap().remove("balances");
    let list = list.unwrap().as_array().unwrap().clone();
    (balance, list, balances == Some(json!(true)))
}

#[tokio::test]
async fn every_unit_is_somewhere_at_each_step_of_its_way() {
    let rig = rig().await;
    let placed = rig.sale.reserve(sale::testing::user(), 2).await;
    let (at, on_the_way, balances) = balance(&rig).await;
    let expected = json!({
        "free": 8, "queued": 2, "placed": 0, "paid": 0, "settling": 0, "retired": 0, "unreadable": 0,
    });
    assert_eq!((at, balances), (expected, true));
    let listed = |state: &str| {
        let one = |unit: &u32| (json!(unit), json!(state), json!(placed.order_id));
        placed.units.as_slice().iter().map(one).collect::<Vec<_>>()
    };
    let shown = |list: &[Value]| {
        let one = |it: &Value| {
            (
                it["unit"].clone(),
                it["state"].clone(),
                it["order_id"].clone(),
            )
        };
        list.iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(shown(&on_the_way), listed("queued"));
    assert!(
        on_the_way
            .iter()
            .all(|it| it["age_secs"].as_u64().unwrap() < 600)
    );
    let order = rig.sale.place(&placed).await;
    let (at, on_the_way, balances) = balance(&rig).await;
    assert_eq!(
        (&at["queued"], &at["placed"], balances),
        (&json!(0), &json!(2), true)
    );
    assert_eq!(
        on_the_way,
        [Value::Null; 0],
        "written, though Redis was not told yet"
    );
    // Cancelled, and the process died before Redis was told.
    let now = rig.sale.stock.now();
    let cancel = domain::order::Transition::Cancel;
    rig.sale.store.end(order.id, cancel, now).await.unwrap();
    let (at, on_the_way, balances) = balance(&rig).await;
    let expected = json!({
        "free": 8, "queued": 0, "placed": 0, "paid": 0, "settling": 2, "retired": 0, "unreadable": 0,
    });
    assert_eq!((at, balances), (expected, true));
    assert_eq!(shown(&on_the_way), listed("settling"));
    let ended = rig.sale.store.order(order.id).await.unwrap().unwrap();
    sale::finish_release(&*rig.sale.store, &rig.sale.stock, &ended)
        .await
        .unwrap();
    assert_eq!(balance(&rig).await.0["free"], 10);
}

#[tokio::test]
async fn a_unit_that_both_sides_sell_does_not_balance() {
    let rig = rig().await;
    let placed = rig.sale.reserve(sale::testing::user(), 1).await;
    let order = rig.sale.place(&placed).await;
    let give_back = stock::Release {
        spike_id: placed.spike_id,
        order_id: order.id,
        user_id: order.user_id,
        units: &placed.units,
        keep: &domain::Units::none(),
    };
    assert_eq!(rig.sale.stock.release(&give_back).await.unwrap().offered, 1);
    let (at, _, balances) = balance(&rig).await;
    assert_eq!(
        (&at["free"], &at["placed"], balances),
        (&json!(10), &json!(1), false)
    );
}

#[tokio::test]
async fn statistics_of_a_sale_that_is_not_in_redis_show_the_store() {
    let sale = Sale::of(3).await;
    let redis = stock::testing::redis();
    let app = app(&sale.store, &redis.stock(stock::testing::clock()).await);
    let path = format!("/admin/spikes/{}/stats", sale.spike.id);
    let stats = call(&app, Method::GET, &path, None, None).await;
    assert_eq!(
        (&stats.ok()["redis"], &stats.body["free_differs"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(stats.body["store"]["free"], 3);
    let balance = &stats.body["balance"];
    assert_eq!(
        (&balance["free"], &balance["balances"]),
        (&json!(3), &json!(true))
    );
}

#[test]
fn the_document_has_every_operation() {
    let document = serde_json::to_value(openapi()).unwrap();
    let one = "/paths/~1admin~1spikes~1{spike_id}";
    for (pointer, statuses) in [
        (
            "/paths/~1admin~1spikes/post".to_owned(),
            &["201", "400", "401", "403", "413", "415", "422", "503"][..],
        ),
        (
            "/paths/~1admin~1spikes/get".to_owned(),
            &["200", "400", "401", "403", "503"],
        ),
        (
            format!("{one}/get"),
            &["200", "400", "401", "403", "404", "503"],
        ),
        (
            format!("{one}/put"),
            &[
                "200", "400", "401", "403", "404", "409", "412", "422", "428", "503",
            ],
        ),
        (
            format!("{one}/delete"),
            &[
                "204", "400", "401", "403", "404", "409", "412", "428", "503",
            ],
        ),
        (
            format!("{one}~1pause/post"),
            &["200", "400", "401", "403", "404", "409", "503"],
        ),
        (
            format!("{one}~1resume/post"),
            &["200", "400", "401", "403", "404", "409", "503"],
        ),
        (
            format!("{one}~1stats/get"),
            &["200", "400", "401", "403", "404", "503"],
        ),
    ] {
        let responses = &document.pointer(&pointer).unwrap()["responses"];
        for status in statuses {
            assert!(responses[status].is_object(), "{pointer} {status}");
        }
    }
}
