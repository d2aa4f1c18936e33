//! What the gateway says itself, and what it hands on.

use anyhow::ensure;
use bytes::Bytes;
use emulate::lambda::Failure;
use race::client::{Client, Request};
use serde_json::json;

use crate::stage::{INSTANCES, run};

#[test]
fn unknown_addresses_get_the_page_for_them_and_events_have_none() {
    run(|cloud| {
        Box::pin(async {
            let client = Client::new(&cloud.base_url, 1)?;
            for path in ["/nowhere", "/events/order-placed", "/timers/sweep"] {
                let answer = client.send(&Request::post(path)).await?;
                ensure!(
                    answer.outcome() == "404 not-found",
                    "{path}: {}",
                    answer.outcome()
                );
            }
            Ok(())
        })
    });
}

#[test]
fn a_body_that_is_too_large_reaches_no_function() {
    run(|cloud| {
        Box::pin(async {
            let client = Client::new(&cloud.base_url, 1)?;
            let before = cloud.function("register").counts();
            // The first is too large for the gateway, the second only as the event that it would become.
            for (kind, bytes) in [
                ("text/plain", 10 * 1024 * 1024 + 1),
                ("application/x-ndjson", 5 * 1024 * 1024),
            ] {
                let request = Request::post("/users").body(kind, vec![b' '; bytes]);
                // The connection may be closed before all of it is sent.
                if let Ok(answer) = client.send(&request).await {
                    ensure!(
                        answer.status.as_u16() == 413,
                        "{kind}: {}",
                        answer.outcome()
                    );
                }
            }
            ensure!(
                cloud.function("register").counts() == before,
                "a function was called"
            );
            Ok(())
        })
    });
}

#[test]
fn who_comes_when_all_instances_are_busy_is_told_so_by_the_gateway() {
    run(|cloud| {
        Box::pin(async {
            let crowd = 2 * INSTANCES;
            let client = Client::new(&cloud.base_url, crowd)?;
            let requests = (0..crowd).map(|number| {
                let account = json!({ "username": format!("busy-{number}"), "password": "a sneaker for each foot" });
                Request::post("/users").json(&account)
            });
            let requests: Vec<Request> = requests.collect();
            let answers =
                futures::future::join_all(requests.iter().map(|it| client.send(it))).await;
            let mut outcomes = std::collections::BTreeMap::<String, usize>::new();
            for answer in answers {
                *outcomes.entry(answer?.outcome()).or_default() += 1;
            }
            let counts = cloud.function("register").counts();
            let refused = outcomes.get("503").copied().unwrap_or_default();
            ensure!(refused > 0 && outcomes.len() == 2, "{outcomes:?}");
            ensure!(outcomes.contains_key("201"), "{outcomes:?}");
            ensure!(
                counts.throttled as usize == refused,
                "{counts:?} {outcomes:?}"
            );
            ensure!(counts.starts as usize <= INSTANCES, "{counts:?}");
            Ok(())
        })
    });
}

#[test]
fn an_event_of_no_known_shape_is_an_error() {
    run(|cloud| {
        Box::pin(async {
            for (function, event) in [
                ("spike", json!({})),
                ("spike", json!({ "Records": [{ "eventSource": "aws:s3" }] })),
                ("order-writer", json!({ "path": "/events/order-placed" })),
                ("sweeper", json!({ "path": "/timers/other" })),
            ] {
                let event = Bytes::from(event.to_string());
                let result = cloud.function(function).invoke(event.clone()).await;
                ensure!(
                    matches!(result, Err(Failure::Error(_))),
                    "{function}: {result:?}"
                );
            }
            Ok(())
        })
    });
}
