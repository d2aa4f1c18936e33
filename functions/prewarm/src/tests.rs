//! The router over the embedded store and a cluster that answers over TLS.

use std::{sync::Mutex, time::Duration};

use axum::{body::Body, http::Request};
use capacity::Knative;
use domain::{Order, OrderId, OrderPlaced, Spike, SpikeId, Timestamp, UserId, spike::Settings};
use runtime::testing::{Answer, send};
use serde_json::{Value, json};
use store::Placement;

use super::*;

mod refusals;

use testing::Cluster;

const NAMES: [&str; 3] = ["spike", "spike-token", "access-check"];
const NOTE: &str = r#"{"before":"1","set":"5"}"#;

fn start() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

/// A shop in a cluster, and the time there.
struct Rig {
    cluster: Cluster,
    store: Arc<dyn Store>,
    now: Arc<Mutex<Timestamp>>,
    _engine: store::testing::Guard,
}

impl Rig {
    async fn new() -> Self {
        let (store, engine) = store::testing::store().await;
        Self {
            cluster: Cluster::of(&NAMES).await,
            store,
            now: Arc::new(Mutex::new(start())),
            _engine: engine,
        }
    }

    /// A spike from [`start`] for an hour; 500 buyers are five instances.
    async fn spike(&self, expected_buyers: Option<u32>) -> Spike {
        let settings: Settings = serde_json::from_value(json!({
            "name": "Shoes", "stock": 120, "limit_per_user": 10, "price": { "amount_minor": 100, "currency": "EUR" },
            "starts_at": start(), "ends_at": start() + Duration::from_hours(1), "expected_buyers": expected_buyers,
        }))
        .unwrap();
        let id = SpikeId::mint(start(), rand_id());
        let spike = Spike::new(id, settings, start());
        assert!(self.store.add_spike(&spike).await.unwrap());
        spike
    }

    fn state(&self) -> AppState {
        let now = Arc::clone(&self.now);
        let capacity = Knative::new(
            &self.cluster.url.parse().unwrap(),
            self.cluster.ca_pem.as_bytes(),
            testing::NAMESPACE,
            self.cluster.token_file(),
        );
        AppState {
            store: Arc::clone(&self.store),
            capacity: Arc::new(capacity.unwrap()),
            clock: Arc::new(move || *now.lock().unwrap()),
            hot: NAMES
                .map(|function| Hot {
                    function,
                    buyers_per_instance: 100,
                })
                .to_vec(),
            bounds: Bounds {
                instances_max: 20,
                lead: Duration::from_mins(10),
                guard: Duration::from_mins(2),
            },
        }
    }

    /// A run at so many minutes after [`start`], by a process that has never seen the sale.
    async fn at(&self, minute: i64) -> Answer {
        *self.now.lock().unwrap() = Timestamp::from_millis(start().as_millis() + minute * 60_000);
        call(self.state()).await
    }

    /// What a run at that minute says was done, if it is the same for each function.
    async fn outcome(&self, minute: i64) -> (u32, Outcome) {
        let answer = self.at(minute).await;
        let summary: Summary = serde_json::from_value(answer.assert_json().clone()).unwrap();
        let names: Vec<&str> = summary.functions.iter().map(|it| &*it.function).collect();
        assert_eq!(names, NAMES);
        let first = &summary.functions[0];
        for seen in &summary.functions {
            assert_eq!(
                (seen.instances, seen.outcome),
                (first.instances, first.outcome)
            );
        }
        (first.instances, first.outcome)
    }

    /// Orders the units `first..=first + 9`.
    async fn sell(&self, spike: &Spike, first: u32) {
        let placed = OrderPlaced {
            order_id: OrderId::mint(start(), rand_id()),
            spike_id: spike.id,
            user_id: UserId::mint(start(), rand_id()),
            units: (first..first + 10).collect(),
        };
        let order = Order::placed(&placed, spike.settings.price, start(), spike.pay_within());
        let written = self.store.place(&[order]).await;
        assert!(matches!(written.as_slice(), [Ok(Placement::Written)]));
    }
}

fn rand_id() -> [u8; 10] {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0);
    let mut id = [0; 10];
    id[..8].copy_from_slice(&random.to_be_bytes());
    id
}

async fn call(state: AppState) -> Answer {
    let request = Request::post("/timers/prewarm").body(Body::empty());
    send(runtime::app(router(state)), request.unwrap()).await
}

#[tokio::test]
async fn capacity_follows_a_sale_from_before_its_start_to_its_end() {
    let rig = Rig::new().await;
    rig.spike(Some(500)).await;
    assert_eq!(rig.outcome(-11).await, (1, Outcome::Kept));
    assert_eq!(rig.cluster.inside().patches, 0);

    assert_eq!(rig.outcome(-10).await, (5, Outcome::Raised));
    assert_eq!(rig.cluster.scale("spike"), (json!("5"), json!(NOTE)));
    for minute in [-9, -1, 0, 30, 59] {
        assert_eq!(rig.outcome(minute).await, (5, Outcome::Kept), "{minute}");
    }
    assert_eq!(rig.cluster.inside().revisions, 3, "one for each function");

    assert_eq!(rig.outcome(60).await, (1, Outcome::Lowered));
    assert_eq!(rig.cluster.scale("spike-token"), (json!("1"), Value::Null));
    assert_eq!(rig.outcome(61).await, (1, Outcome::Kept));
    assert_eq!(rig.cluster.inside().revisions, 6);
}

#[tokio::test]
async fn nothing_is_changed_within_the_guard_or_while_a_sale_is_open() {
    let rig = Rig::new().await;
    rig.spike(Some(500)).await;
    for minute in [-2, 0, 30] {
        assert_eq!(rig.outcome(minute).await, (1, Outcome::Held), "{minute}");
    }
    assert_eq!(rig.cluster.inside().patches, 0);
}

#[tokio::test]
async fn a_sale_that_is_sold_out_gives_its_capacity_back_before_its_end() {
    let rig = Rig::new().await;
    let spike = rig.spike(Some(500)).await;
    assert_eq!(rig.outcome(-5).await, (5, Outcome::Raised));
    for first in (11..=111).step_by(10) {
        assert_eq!(rig.outcome(1).await, (5, Outcome::Kept), "{first}");
        rig.sell(&spike, first).await;
    }
    assert_eq!(rig.outcome(2).await, (5, Outcome::Kept), "ten are left");
    rig.sell(&spike, 1).await;
    assert_eq!(rig.outcome(3).await, (1, Outcome::Lowered));
}

#[tokio::test]
async fn no_sale_is_bigger_than_the_service_may_be() {
    let rig = Rig::new().await;
    rig.spike(Some(10_000_000)).await;
    assert_eq!(rig.outcome(-5).await, (9, Outcome::Raised));
}

#[tokio::test]
async fn a_spike_that_expects_nobody_in_particular_changes_nothing() {
    let rig = Rig::new().await;
    rig.spike(None).await;
    for minute in [-5, 0, 60] {
        assert_eq!(rig.outcome(minute).await, (1, Outcome::Kept), "{minute}");
    }
    assert_eq!(rig.cluster.inside().patches, 0);
}

#[tokio::test]
async fn a_run_that_died_half_way_is_finished_by_the_next() {
    let rig = Rig::new().await;
    rig.spike(Some(500)).await;
    let mut half = rig.state();
    *rig.now.lock().unwrap() = start() - Duration::from_mins(5);
    half.hot.truncate(1);
    assert!(call(half).await.status.is_success());
    assert_eq!(rig.cluster.scale("spike").0, "5");
    assert_eq!(rig.cluster.scale("access-check").0, "1");
    rig.at(-4).await.assert_json();
    for name in NAMES {
        assert_eq!(rig.cluster.scale(name), (json!("5"), json!(NOTE)));
    }
}

#[tokio::test]
async fn what_an_operator_sets_meanwhile_is_theirs_afterwards() {
    let rig = Rig::new().await;
    rig.spike(Some(500)).await;
    assert_eq!(rig.outcome(-5).await, (5, Outcome::Raised));
    {
        let mut inside = rig.cluster.inside();
        let spike = inside.services.get_mut("spike").unwrap();
        spike["spec"]["template"]["metadata"]["annotations"]["autoscaling.knative.dev/min-scale"] =
            json!("3");
    }
    rig.at(-4).await.assert_json();
    let note = r#"{"before":"3","set":"5"}"#;
    assert_eq!(rig.cluster.scale("spike"), (json!("5"), json!(note)));
    rig.at(60).await.assert_json();
    assert_eq!(rig.cluster.scale("spike"), (json!("3"), Value::Null));
}
