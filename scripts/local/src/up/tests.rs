use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::testing;

/// Asks until the answer is the one that is waited for.
async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..500 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came about");
}

struct Buyer {
    http: Client,
    token: String,
}

impl Buyer {
    async fn new(base_url: &str, name: &str) -> Self {
        let http = Client::new();
        let account = json!({ "username": name, "password": "sneakers for everybody" });
        let made = http
            .post(format!("{base_url}/users"))
            .json(&account)
            .send()
            .await
            .unwrap();
        assert_eq!(made.status(), StatusCode::CREATED);
        let session = http.post(format!("{base_url}/users/login")).json(&account);
        let session: Value = session.send().await.unwrap().json().await.unwrap();
        Self {
            http,
            token: session["access_token"].as_str().unwrap().to_owned(),
        }
    }

    async fn get(&self, url: &str) -> (StatusCode, Value) {
        answer(self.http.get(url).bearer_auth(&self.token)).await
    }

    async fn post(&self, url: &str) -> (StatusCode, Value) {
        answer(self.http.post(url).bearer_auth(&self.token)).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

/// A client of the private routes.
fn inside(local: &Local) -> Client {
    let client = Client::builder().unix_socket(local.private_socket.clone());
    client.build().unwrap()
}

/// A spike that is open now, made through the operators' API.
async fn open_spike(local: &Local) -> String {
    let now = local.stock.now();
    let settings = json!({
        "name": "Shoes", "stock": 3, "price": { "amount_minor": 100, "currency": "EUR" },
        "starts_at": now - Duration::from_secs(1), "ends_at": now + Duration::from_mins(10),
    });
    let create = Client::new()
        .post(format!("{}/admin/spikes", local.base_url))
        .json(&settings);
    let (status, spike) = answer(create.bearer_auth(local.admin_token().unwrap())).await;
    assert_eq!(status, StatusCode::CREATED, "{spike}");
    format!(
        "{}/spikes/{}",
        local.base_url,
        spike["spike_id"].as_str().unwrap()
    )
}

async fn buy(buyer: &Buyer, spike: &str) -> Value {
    let (_, token) = buyer.post(&format!("{spike}/token")).await;
    let order = format!("{spike}/orders/{}", token["token"].as_str().unwrap());
    let (status, order) = buyer.post(&order).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{order}");
    order["order_id"].clone()
}

#[tokio::test]
async fn a_unit_is_bought_and_everything_is_kept_over_a_restart() {
    let (local, data) = testing::start().await.unwrap();
    let spike = open_spike(&local).await;
    let buyer = Buyer::new(&local.base_url, "ada").await;
    let order_id = buy(&buyer, &spike).await;
    let mine = format!("{spike}/order");
    let placed = until(async || {
        let (_, order) = buyer.get(&mine).await;
        (order["state"] == "placed").then_some(order)
    });
    let placed = placed.await;
    assert_eq!(placed["order_id"], order_id);
    let port = local.base_url.rsplit_once(':').unwrap().1.parse().unwrap();
    let admin = local.admin.clone();
    local.stop().await.unwrap();

    let options = Options {
        port,
        ..testing::options(data.path())
    };
    let local = Local::start(&options).await.unwrap();
    assert_eq!(
        (&local.admin.password, local.admin.user_id),
        (&admin.password, admin.user_id)
    );
    assert_eq!(buyer.get(&mine).await, (StatusCode::OK, placed));
    assert_eq!(
        buy(&buyer, &spike).await,
        order_id,
        "the stock knows the buyer"
    );
    assert_eq!(buyer.get(&spike).await.1["left"], 2);
    local.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_for_the_inside_is_not_found_outside() {
    let (local, _data) = testing::start().await.unwrap();
    let inside = inside(&local);
    for path in [
        "/events/order-placed",
        "/events/dead-letter",
        "/timers/sweep",
        "/broker",
    ] {
        let (status, problem) =
            answer(Client::new().post(format!("{}{path}", local.base_url))).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::NOT_FOUND, &json!("not-found")),
            "{path}"
        );
        let (status, _) = answer(inside.post(format!("http://inside{path}"))).await;
        assert_ne!(status, StatusCode::NOT_FOUND, "{path}");
    }
    local.stop().await.unwrap();
}

#[tokio::test]
async fn fault_07_a_poison_event_ends_in_the_dead_letters() {
    let (local, _data) = testing::start().await.unwrap();
    let inside = inside(&local);
    for poison in ["{".to_owned(), "{}".to_owned(), "x".repeat(300_000)] {
        let send = inside.post("http://inside/broker").body(poison);
        let send = send.header("content-type", events::envelope::CONTENT_TYPE);
        assert_eq!(answer(send).await.0, StatusCode::ACCEPTED);
    }
    let admin = Buyer {
        http: Client::new(),
        token: local.admin_token().unwrap(),
    };
    let url = format!("{}/admin/dead-letters", local.base_url);
    let letters = until(async || {
        let (_, page) = admin.get(&url).await;
        let letters = page["dead_letters"].as_array().unwrap().clone();
        (letters.len() == 3).then_some(letters)
    });
    for letter in letters.await {
        assert!(
            letter["reason"].as_str().unwrap().starts_with("answered 4"),
            "{letter}"
        );
    }
    local.stop().await.unwrap();
}

#[tokio::test]
async fn a_taken_port_or_directory_is_told_in_one_line() {
    let (local, data) = testing::start().await.unwrap();
    let again = Local::start(&testing::options(data.path()))
        .await
        .err()
        .unwrap();
    assert!(
        format!("{again:#}").contains("in use by another"),
        "{again:#}"
    );
    let other = tempfile::tempdir().unwrap();
    let port = local.base_url.rsplit_once(':').unwrap().1.parse().unwrap();
    let options = Options {
        port,
        ..testing::options(other.path())
    };
    let taken = format!("{:#}", Local::start(&options).await.err().unwrap());
    assert!(taken.starts_with("cannot listen on port"), "{taken}");
    assert!(!taken.contains('\n'), "{taken}");
    local.stop().await.unwrap();
}

#[tokio::test]
async fn a_reset_forgets_orders_stock_and_keys() {
    let (local, data) = testing::start().await.unwrap();
    let spike = open_spike(&local).await;
    let password = local.admin.password.clone();
    local.stop().await.unwrap();
    let options = Options {
        reset: true,
        ..testing::options(data.path())
    };
    let local = Local::start(&options).await.unwrap();
    assert_ne!(local.admin.password, password);
    let id = spike.rsplit_once('/').unwrap().1;
    let gone = answer(Client::new().get(format!("{}/spikes/{id}", local.base_url))).await;
    assert_eq!(gone.0, StatusCode::NOT_FOUND);
    local.stop().await.unwrap();
}
