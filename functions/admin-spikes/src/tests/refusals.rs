//! Callers, settings, rules and texts that are refused, and what is away.

use std::task::Poll;

use bytes::Bytes;
use futures::stream;

use super::*;

#[tokio::test]
async fn settings_that_no_spike_may_have_are_named() {
    let rig = rig().await;
    let now = rig.sale.stock.now();
    let cases = [
        ("name", with("name", json!("a\r\nb"))),
        ("stock", with("stock", json!(100_001))),
        ("limit_per_user", with("limit_per_user", json!(11))),
        ("ends_at", with("ends_at", at(now, 0))),
        ("pay_within_secs", with("pay_within_secs", json!(0))),
        ("expected_buyers", with("expected_buyers", json!(0))),
    ];
    for (field, settings) in cases {
        for answer in [
            rig.post("/admin/spikes", Some(settings.clone())).await,
            rig.put("\"1\"", settings).await,
        ] {
            answer.is(422, "invalid-setting");
            assert_eq!(answer.body["field"], field);
        }
    }
    let mut over = with("starts_at", at(now, -7200));
    over["ends_at"] = at(now, -3600);
    let refused = rig.post("/admin/spikes", Some(over)).await;
    refused.is(422, "invalid-setting");
    assert_eq!(refused.body["field"], "ends_at");
    for body in [
        json!({}),
        with("stock", json!(-1)),
        with("id", json!(1)),
        with("starts_at", json!("now")),
        json!([]),
    ] {
        rig.post("/admin/spikes", Some(body))
            .await
            .is(400, "malformed");
    }
    assert_eq!(
        rig.get("/admin/spikes").await.ok()["spikes"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn fault_29_a_bad_rule_is_refused_and_named() {
    let rig = rig().await;
    let bombs = [
        "[".repeat(125),
        "(".repeat(200) + &")".repeat(200),
        " ".repeat(4000),
        "system('id')".into(),
    ];
    for bomb in bombs {
        let rules = json!([
            { "name": "fine", "allow_if": "true", "reason": "-" },
            { "name": "the bomb", "allow_if": bomb, "reason": "-" },
        ]);
        let settings = with("rules", rules);
        for answer in [
            rig.post("/admin/spikes", Some(settings.clone())).await,
            rig.put("\"1\"", settings).await,
        ] {
            answer.is(422, "bad-rule");
            assert_eq!(answer.body["rule"], "the bomb");
            assert!(
                !answer.body["detail"]
                    .as_str()
                    .unwrap()
                    .contains(bomb.as_str())
            );
        }
    }
    let mebibyte = json!([{ "name": "large", "allow_if": "x".repeat(1 << 20), "reason": "-" }]);
    rig.post("/admin/spikes", Some(with("rules", mebibyte)))
        .await
        .is(413, "too-large");
}

#[tokio::test]
async fn fault_28_hostile_texts_are_kept_as_texts() {
    let rig = rig().await;
    let name = "'; DROP TABLE spikes; -- <script>${7*7}</script>";
    let mut settings = with("name", json!(name));
    settings["rules"][0]["reason"] = json!("' OR 1=1");
    let made = rig.post("/admin/spikes", Some(settings)).await;
    assert_eq!(
        (&made.ok()["name"], &made.body["rules"][0]["reason"]),
        (&json!(name), &json!("' OR 1=1"))
    );
    for path in [
        "/admin/spikes/%27%20OR%201=1",
        "/admin/spikes/..%2f",
        "/admin/spikes?cursor=%27",
        "/admin/spikes?x=1",
    ] {
        rig.get(path).await.is(400, "malformed");
    }
}

#[tokio::test]
async fn what_is_unknown_is_told() {
    let rig = rig().await;
    let path = nowhere();
    rig.get(&path).await.is(404, "no-spike");
    rig.get(&format!("{path}/stats")).await.is(404, "no-spike");
    for turn in ["pause", "resume"] {
        rig.post(&format!("{path}/{turn}"), None)
            .await
            .is(404, "no-spike");
    }
    call(
        &rig.app,
        Method::PUT,
        &path,
        Some("\"1\""),
        Some(settings()),
    )
    .await
    .is(404, "no-spike");
    call(&rig.app, Method::DELETE, &path, Some("\"1\""), None)
        .await
        .is(404, "no-spike");
}

#[tokio::test]
async fn fault_30_callers_are_refused_before_the_body_is_read() {
    let rig = rig().await;
    let one = rig.path();
    let now = (stock::testing::clock())();
    let forged = auth::testing::forgeries(UserId::mint(now, [1; 10]), now);
    let mut callers = vec![
        (None, 401, "unauthorized"),
        (Some(token(&[])), 403, "forbidden"),
    ];
    callers.extend(
        forged
            .iter()
            .map(|(_, token)| (Some(format!("Bearer {token}")), 401, "unauthorized")),
    );
    let routes = [
        (Method::GET, "/admin/spikes".to_owned()),
        (Method::POST, "/admin/spikes".to_owned()),
        (Method::GET, one.clone()),
        (Method::PUT, one.clone()),
        (Method::DELETE, one.clone()),
        (Method::POST, format!("{one}/pause")),
        (Method::POST, format!("{one}/resume")),
        (Method::GET, format!("{one}/stats")),
    ];
    for (caller, status, code) in callers {
        for (method, path) in &routes {
            let untouched = stream::poll_fn(|_| -> Poll<Option<Result<Bytes, std::io::Error>>> {
                panic!("the body was read");
            });
            let mut request = Request::builder()
                .method(method)
                .uri(path)
                .header(header::IF_MATCH, "\"1\"");
            request = request.header(header::CONTENT_TYPE, "application/json");
            if let Some(caller) = &caller {
                request = request.header(header::AUTHORIZATION, caller);
            }
            send(
                &rig.app,
                request.body(Body::from_stream(untouched)).unwrap(),
            )
            .await
            .is(status, code);
        }
    }
    assert_eq!(rig.sale.stored().await.version, 1);
}

#[tokio::test]
async fn without_the_store_the_answer_is_unavailable() {
    let (store, engine) = store::testing::store().await;
    drop(engine);
    let stock = stock::testing::shared()
        .stock(stock::testing::clock())
        .await;
    let app = app(&store, &stock);
    call(&app, Method::GET, "/admin/spikes", None, None)
        .await
        .is(503, "unavailable");
}

#[test]
fn what_cannot_be_read_is_our_error() {
    let errors = [
        Error::from(store::Error::Corrupt("?".into())),
        Error::from(stock::Error::Unreadable("?".into())),
    ];
    for error in errors {
        assert_eq!(runtime::Problem::from(&error).code(), Code::Internal);
    }
}
