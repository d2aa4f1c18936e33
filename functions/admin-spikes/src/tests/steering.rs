//! Changes of a running sale: versions, pause and resume, stock raised and lowered, Redis away.

use domain::Gate;
use stock::Reserved;

use super::*;

#[tokio::test]
async fn a_change_needs_the_version_that_was_read_and_takes_force() {
    let rig = rig().await;
    let mut settings = rig.with_stock(10);
    settings["limit_per_user"] = json!(3);
    settings["expected_buyers"] = json!(25_000);
    settings["rules"] = json!([{ "name": "all", "allow_if": "true", "reason": "-" }]);
    call(
        &rig.app,
        Method::PUT,
        &rig.path(),
        None,
        Some(settings.clone()),
    )
    .await
    .is(428, "version-required");
    rig.put("\"2\"", settings.clone())
        .await
        .is(412, "version-mismatch");
    let changed = rig.put("\"1\"", settings.clone()).await;
    assert_eq!(
        (&changed.ok()["version"], changed.etag()),
        (&json!(2), "\"2\"")
    );
    assert_eq!(changed.body.get("retired_now"), None);
    assert_eq!(changed.body["expected_buyers"], 25_000);
    rig.put("\"1\"", settings).await.is(412, "version-mismatch");
    let sale = rig
        .sale
        .stock
        .sale(rig.sale.spike.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (sale.version, sale.limit_per_user, sale.guarded, sale.left),
        (2, 3, true, 10)
    );
}

#[tokio::test]
async fn of_two_admins_one_wins() {
    let rig = rig().await;
    let (a, b) = tokio::join!(
        rig.put("\"1\"", rig.with_stock(20)),
        rig.put("\"1\"", rig.with_stock(30))
    );
    let mut statuses = [a.status.as_u16(), b.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let stored = rig.sale.stored().await;
    assert_eq!((stored.version, stored.top), (2, stored.settings.stock));
    let sale = rig.sale.stock.sale(stored.id).await.unwrap().unwrap();
    assert_eq!((sale.top, sale.left), (stored.top, stored.top));
}

#[tokio::test]
async fn a_pause_is_in_force_when_it_is_answered() {
    let rig = rig().await;
    let (pause, resume) = (
        format!("{}/pause", rig.path()),
        format!("{}/resume", rig.path()),
    );
    for version in [2, 3] {
        let paused = rig.post(&pause, None).await;
        assert_eq!(
            (&paused.ok()["version"], &paused.body["status"]),
            (&json!(version), &json!("paused"))
        );
        assert!(matches!(
            rig.sale.ask(sale::testing::user(), 1).await.1,
            Reserved::Paused
        ));
    }
    let resumed = rig.post(&resume, None).await;
    assert_eq!(
        (&resumed.ok()["status"], resumed.etag()),
        (&json!("running"), "\"4\"")
    );
    assert!(matches!(
        rig.sale.ask(sale::testing::user(), 1).await.1,
        Reserved::Won(_)
    ));
}

#[tokio::test]
async fn an_ended_spike_cannot_be_changed() {
    let rig = rig().await;
    let mut settings = rig.with_stock(10);
    settings["ends_at"] = at(rig.sale.stock.now(), -1);
    let ended = rig.put("\"1\"", settings.clone()).await;
    assert_eq!(
        ended.ok()["status"],
        "ended",
        "an end that has passed ends the sale"
    );
    assert!(matches!(
        rig.sale.ask(sale::testing::user(), 1).await.1,
        Reserved::Ended
    ));
    rig.put("\"2\"", settings).await.is(409, "spike-ended");
    for turn in ["pause", "resume"] {
        rig.post(&format!("{}/{turn}", rig.path()), None)
            .await
            .is(409, "spike-ended");
    }
}

#[tokio::test]
async fn fault_21_lowering_takes_free_units_only_and_says_how_many() {
    let rig = rig().await;
    let placed = rig.sale.reserve(sale::testing::user(), 6).await;
    rig.sale.place(&placed).await;
    assert!(rig.sale.stock.ack(&placed).await.unwrap());
    let lowered = rig.put("\"1\"", rig.with_stock(2)).await;
    assert_eq!(
        (&lowered.ok()["retired_now"], &lowered.body["retired"]),
        (&json!(4), &json!(4))
    );
    assert_eq!(
        (&lowered.body["stock"], &lowered.body["top"]),
        (&json!(2), &json!(10))
    );
    assert!(matches!(
        rig.sale.ask(sale::testing::user(), 1).await.1,
        Reserved::SoldOut { left: 0 }
    ));
    assert_eq!(
        rig.sale.check_at_rest().await.len(),
        0,
        "the buyer keeps theirs"
    );

    // Nothing is free: the rest is the sweeper's, as units come free.
    let again = rig.put("\"2\"", rig.with_stock(2)).await;
    assert_eq!(
        (&again.ok()["retired_now"], &again.body["retired"]),
        (&json!(0), &json!(4))
    );
    // Raised above what lives, new units come on offer with new numbers.
    let raised = rig.put("\"3\"", rig.with_stock(8)).await;
    assert_eq!(
        (&raised.ok()["top"], raised.body.get("retired_now")),
        (&json!(12), None)
    );
    assert_eq!(rig.sale.check_at_rest().await.as_slice(), [11, 12]);
}

#[tokio::test]
async fn fault_21_two_lowerings_at_once_retire_no_more_than_asked() {
    let rig = rig().await;
    let spike = rig.sale.spike.id;
    let lower = |tag: &'static str, stock| rig.put(tag, rig.with_stock(stock));
    let first = lower("\"1\"", 4);
    let second = async {
        // Follows as soon as the first is written, while it is still retiring.
        loop {
            let answer = lower("\"2\"", 3).await;
            if answer.status != StatusCode::PRECONDITION_FAILED {
                return answer;
            }
        }
    };
    let (first, second) = tokio::join!(first, second);
    let retired = |answer: &Answer| answer.ok()["retired_now"].as_u64().unwrap();
    assert_eq!(retired(&first) + retired(&second), 7);
    let stored = rig.sale.stored().await;
    assert_eq!(
        (stored.retired, stored.live_units(), stored.id),
        (7, 3, spike)
    );
    assert_eq!(rig.sale.check_at_rest().await.len(), 3);
}

#[tokio::test]
async fn stock_cannot_be_raised_above_all_numbers() {
    let rig = rig().await;
    rig.put("\"1\"", rig.with_stock(0)).await.ok();
    let refused = rig.put("\"2\"", rig.with_stock(99_991)).await;
    refused.is(422, "invalid-setting");
    assert_eq!(refused.body["field"], "stock");
}

#[tokio::test]
async fn fault_20_a_raise_that_redis_missed_is_kept_and_offered_later() {
    let sale = Sale::of(2).await;
    let mut redis = stock::testing::redis();
    let stock = redis.stock(stock::testing::clock()).await;
    sale::load(
        sale.store.as_ref(),
        &stock,
        sale.spike.id,
        sale::Loadable::Live,
    )
    .await
    .unwrap();
    let app = app(&sale.store, &stock);
    let path = format!("/admin/spikes/{}", sale.spike.id);
    let mut settings = serde_json::to_value(&sale.spike.settings).unwrap();
    settings["stock"] = json!(5);
    redis.stop();
    call(
        &app,
        Method::PUT,
        &path,
        Some("\"1\""),
        Some(settings.clone()),
    )
    .await
    .is(503, "unavailable");
    assert_eq!(
        (sale.stored().await.top, sale.stored().await.version),
        (5, 2),
        "the store has it"
    );

    // Redis comes back empty; what the sweeper does then, the next change does too.
    redis.start();
    let answers = async {
        loop {
            let version = format!("\"{}\"", sale.stored().await.version);
            let answer = call(
                &app,
                Method::PUT,
                &path,
                Some(&version),
                Some(settings.clone()),
            )
            .await;
            if answer.status == StatusCode::OK {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), answers)
        .await
        .unwrap();
    let loaded = stock.sale(sale.spike.id).await.unwrap().unwrap();
    assert_eq!((loaded.top, loaded.left), (5, 5));
}

#[tokio::test]
async fn a_spike_can_be_made_while_redis_is_away_but_not_paused() {
    let (store, _engine) = store::testing::store().await;
    let mut redis = stock::testing::redis();
    let stock = redis.stock(stock::testing::clock()).await;
    let app = app(&store, &stock);
    redis.stop();
    let made = call(&app, Method::POST, "/admin/spikes", None, Some(settings())).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let path = made.headers[header::LOCATION].to_str().unwrap();
    call(&app, Method::POST, &format!("{path}/pause"), None, None)
        .await
        .is(503, "unavailable");
    call(&app, Method::GET, &format!("{path}/stats"), None, None)
        .await
        .is(503, "unavailable");
    let shown = call(&app, Method::GET, path, None, None).await;
    assert_eq!(
        (&shown.ok()["paused"], &shown.body["version"]),
        (&json!(true), &json!(2)),
        "the pause is kept"
    );
}

#[tokio::test]
async fn a_change_waits_for_the_loader_a_while() {
    let sale = Sale::of(2).await;
    let redis = stock::testing::redis();
    let stock = redis.stock(stock::testing::clock()).await;
    let app = app(&sale.store, &stock);
    let pause = format!("/admin/spikes/{}/pause", sale.spike.id);
    let lock = stock.lock_loading(sale.spike.id).await.unwrap().unwrap();
    call(&app, Method::POST, &pause, None, None)
        .await
        .is(503, "loading");
    stock.unlock_loading(lock).await.unwrap();
    assert_eq!(
        call(&app, Method::POST, &pause, None, None).await.ok()["paused"],
        true
    );
    assert_eq!(
        stock.sale(sale.spike.id).await.unwrap().unwrap().gate,
        Gate::Paused
    );
}

#[tokio::test]
async fn the_start_of_a_started_sale_stays() {
    let rig = rig().await;
    let now = rig.sale.stock.now();
    for minutes in [-2, 10] {
        let mut moved = rig.with_stock(10);
        moved["starts_at"] = at(now, minutes * 60);
        rig.put("\"1\"", moved).await.is(409, "spike-started");
    }
    // So that nobody makes it look as if it could still be deleted.
    call(&rig.app, Method::DELETE, &rig.path(), Some("\"1\""), None)
        .await
        .is(409, "spike-started");
    rig.put("\"1\"", rig.with_stock(10)).await.ok();
}

#[tokio::test]
async fn a_pause_needs_no_version_and_heeds_one() {
    let rig = rig().await;
    let turn = async |turn: &str, tag: Option<&str>| {
        let path = format!("{}/{turn}", rig.path());
        call(&rig.app, Method::POST, &path, tag, None).await
    };
    turn("pause", Some("\"7\""))
        .await
        .is(412, "version-mismatch");
    turn("pause", Some("7")).await.is(412, "version-mismatch");
    assert_eq!(turn("pause", Some("\"1\"")).await.ok()["version"], 2);
    turn("resume", Some("\"1\""))
        .await
        .is(412, "version-mismatch");
    assert_eq!(turn("resume", Some("*")).await.ok()["version"], 3);
    assert_eq!(turn("pause", None).await.ok()["version"], 4);
}

#[tokio::test]
async fn a_pause_does_not_lose_against_a_lowering_that_retires_unit_by_unit() {
    let sale = Sale::with(|settings| settings.stock = 400).await;
    let rig = Rig {
        app: app(&sale.store, &sale.stock),
        sale,
    };
    let lowering = rig.put("\"1\"", rig.with_stock(0));
    let pausing = async {
        while rig.sale.stored().await.retired == 0 {
            tokio::task::yield_now().await;
        }
        rig.post(&format!("{}/pause", rig.path()), None).await
    };
    let (lowered, paused) = tokio::join!(lowering, pausing);
    assert_eq!(paused.ok()["paused"], true);
    assert!(lowered.ok()["retired_now"].as_u64().unwrap() > 0);
    let stored = rig.sale.stored().await;
    assert!(stored.paused && stored.live_units() == 400 - stored.retired);
}
