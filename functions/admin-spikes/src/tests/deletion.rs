//! Deleting: only before the start, and nothing that anybody has bought from.

use domain::Spike;
use stock::{Config, Configured};

use super::*;

async fn made(rig: &Rig) -> (SpikeId, String) {
    let made = rig
        .post("/admin/spikes", Some(with("rules", json!([]))))
        .await;
    let id = made.ok()["spike_id"].as_str().unwrap();
    (id.parse().unwrap(), format!("/admin/spikes/{id}"))
}

async fn delete(rig: &Rig, path: &str, if_match: Option<&str>) -> Answer {
    call(&rig.app, Method::DELETE, path, if_match, None).await
}

#[tokio::test]
async fn a_spike_that_has_not_started_goes_from_store_and_redis() {
    let rig = rig().await;
    for paused_before in [false, true] {
        let (id, path) = made(&rig).await;
        let mut tag = "\"1\"";
        if paused_before {
            rig.post(&format!("{path}/pause"), None).await.ok();
            tag = "\"2\"";
        }
        delete(&rig, &path, None).await.is(428, "version-required");
        delete(&rig, &path, Some("\"7\""))
            .await
            .is(412, "version-mismatch");
        assert_eq!(
            delete(&rig, &path, Some(tag)).await.status,
            StatusCode::NO_CONTENT
        );
        rig.get(&path).await.is(404, "no-spike");
        delete(&rig, &path, Some(tag)).await.is(404, "no-spike");
        assert_eq!(rig.sale.stock.sale(id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_running_spike_stays() {
    let rig = rig().await;
    delete(&rig, &rig.path(), Some("\"1\""))
        .await
        .is(409, "spike-started");
    assert_eq!(rig.sale.stored().await.version, 1);
}

/// The sale starts between the check and the pause: Redis lets somebody buy.
async fn buy_from(rig: &Rig, id: SpikeId) {
    let spike: Spike = rig.sale.store.spike(id).await.unwrap().unwrap();
    let starts_at = rig.sale.stock.now() - Duration::from_secs(1);
    let started = Config {
        version: 2,
        starts_at,
        ..Config::of(&spike)
    };
    assert_eq!(
        rig.sale.stock.configure(&started).await.unwrap(),
        Configured::Applied
    );
    let (user_id, now) = (sale::testing::user(), rig.sale.stock.now());
    let order_id = domain::OrderId::mint(now, auth::random());
    let request = stock::Request {
        spike_id: id,
        user_id,
        order_id,
        quantity: 1,
        verdict: None,
    };
    assert!(matches!(
        rig.sale.stock.reserve(&request).await.unwrap(),
        stock::Reserved::Won(_)
    ));
}

#[tokio::test]
async fn a_spike_that_somebody_bought_from_meanwhile_stays_and_goes_on() {
    let rig = rig().await;
    let (id, path) = made(&rig).await;
    buy_from(&rig, id).await;
    delete(&rig, &path, Some("\"1\""))
        .await
        .is(409, "spike-started");
    let shown = rig.get(&path).await;
    assert_eq!(
        (&shown.ok()["paused"], &shown.body["version"]),
        (&json!(false), &json!(3))
    );
    let sale = rig.sale.stock.sale(id).await.unwrap().unwrap();
    assert_eq!((sale.gate, sale.buyers), (domain::Gate::Open, 1));
}

/// Whom Redis sold to since the start it may have lost, and their orders may be on their way (ADR 33).
#[tokio::test]
async fn a_delete_that_stalls_until_after_the_start_deletes_nothing() {
    let rig = rig().await;
    let starts_at = rig.sale.stock.now() + Duration::from_millis(400);
    let mut settings = with("rules", json!([]));
    settings["starts_at"] = json!(starts_at);
    let made = rig.post("/admin/spikes", Some(settings)).await;
    let id: SpikeId = made.ok()["spike_id"].as_str().unwrap().parse().unwrap();
    let path = format!("/admin/spikes/{id}");
    rig.sale.redis.flush().await;
    let lock = rig.sale.stock.lock_loading(id).await.unwrap().unwrap();
    let starting = async {
        while rig.sale.stock.now() < starts_at {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        rig.sale.stock.unlock_loading(lock).await.unwrap();
    };
    let (deleted, ()) = tokio::join!(delete(&rig, &path, Some("\"1\"")), starting);
    deleted.is(409, "spike-started");
    // Paused, and resumed.
    let shown = rig.get(&path).await;
    assert_eq!(
        (&shown.ok()["paused"], &shown.body["version"]),
        (&json!(false), &json!(3))
    );
}

#[tokio::test]
async fn a_pause_of_another_admin_outlives_a_delete_that_is_too_late() {
    let rig = rig().await;
    let (id, path) = made(&rig).await;
    let spike = rig.sale.store.spike(id).await.unwrap().unwrap();
    let now = rig.sale.stock.now();
    let event = domain::OrderPlaced {
        order_id: domain::OrderId::mint(now, auth::random()),
        spike_id: id,
        user_id: sale::testing::user(),
        units: [1].into_iter().collect(),
    };
    let order = domain::Order::placed(&event, spike.settings.price, now, spike.pay_within());
    rig.sale.store.place(&[order]).await;
    // While somebody loads what Redis has lost, changes wait behind their write.
    rig.sale.redis.flush().await;
    let lock = rig.sale.stock.lock_loading(id).await.unwrap().unwrap();
    let pausing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        rig.post(&format!("{path}/pause"), None).await
    };
    let unlocking = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        rig.sale.stock.unlock_loading(lock).await.unwrap();
    };
    let deleting = delete(&rig, &path, Some("\"1\""));
    let (deleted, paused, ()) = tokio::join!(deleting, pausing, unlocking);
    deleted.is(409, "spike-started");
    assert_eq!(paused.ok()["paused"], true);
    let shown = rig.get(&path).await;
    assert_eq!(
        (&shown.ok()["paused"], &shown.body["version"]),
        (&json!(true), &json!(3))
    );
}
