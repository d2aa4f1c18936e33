//! Answers of the operations of operators.

use e2e::client::{Answer, Call};
use serde_json::{Value, json};

use super::{Driver, Scene, buying::upcoming, drive};
use crate::{
    broken::Broken,
    stage::{Stage, new_name, settings},
};

const NOBODYS: &str = "01900000-0000-7000-8000-000000000000";
const SPIKES: &str = "post /admin/spikes";
const READ: &str = "get /admin/spikes/{spike_id}";
const REPLACE: &str = "put /admin/spikes/{spike_id}";
const DELETE: &str = "delete /admin/spikes/{spike_id}";
const PAUSE: &str = "post /admin/spikes/{spike_id}/pause";
const RESUME: &str = "post /admin/spikes/{spike_id}/resume";
const STATS: &str = "get /admin/spikes/{spike_id}/stats";
const USER: &str = "get /admin/users/{user_id}";
const CHANGE: &str = "put /admin/users/{user_id}";
const REDRIVE: &str = "post /admin/dead-letters/{id}/redrive";

pub(crate) fn drivers(scene: &Scene) -> Vec<Driver<'_>> {
    let mut drivers = listings(scene);
    drivers.extend(making(scene));
    drivers.extend(replacing(scene));
    drivers.extend(deleting(scene));
    drivers.extend(turning(scene, PAUSE, "pause"));
    drivers.extend(turning(scene, RESUME, "resume"));
    drivers.extend(users(scene));
    drivers.extend(letters(scene));
    drivers
}

fn listings(scene: &Scene) -> Vec<Driver<'_>> {
    let stage = &scene.stage;
    let get = |path: String| async move { stage.admin(Call::get(path)).await };
    let spike = &scene.things.spike_id;
    vec![
        drive(
            "get /admin/dead-letters",
            "200",
            get("/admin/dead-letters".to_owned()),
        ),
        drive(
            "get /admin/refunds",
            "200",
            get("/admin/refunds".to_owned()),
        ),
        drive("get /admin/spikes", "200", get("/admin/spikes".to_owned())),
        drive("get /admin/users", "200", get("/admin/users".to_owned())),
        drive(READ, "200", get(format!("/admin/spikes/{spike}"))),
        drive(
            READ,
            "404 no-spike",
            get(format!("/admin/spikes/{NOBODYS}")),
        ),
        drive(STATS, "200", get(format!("/admin/spikes/{spike}/stats"))),
        drive(
            STATS,
            "404 no-spike",
            get(format!("/admin/spikes/{NOBODYS}/stats")),
        ),
        drive(
            USER,
            "200",
            get(format!("/admin/users/{}", scene.things.owner.user_id)),
        ),
        drive(USER, "404 no-user", get(format!("/admin/users/{NOBODYS}"))),
    ]
}

fn bad_rule() -> Value {
    let rule = json!({ "name": "broken", "allow_if": "user.", "reason": "Never." });
    json!({ "rules": [rule] })
}

fn making(scene: &Scene) -> Vec<Driver<'_>> {
    let stage = &scene.stage;
    let make = |changes: Value| {
        let call = Call::post("/admin/spikes").json(&settings(changes));
        async move { stage.admin(call).await }
    };
    vec![
        drive(SPIKES, "201", make(json!({}))),
        drive(
            SPIKES,
            "422 invalid-setting",
            make(json!({ "stock": 100_001 })),
        ),
        drive(SPIKES, "422 bad-rule", make(bad_rule())),
    ]
}

async fn put(stage: &Stage, spike: &str, etag: &str, changes: Value) -> Answer {
    let call = Call::new("put", format!("/admin/spikes/{spike}"));
    stage
        .admin(call.if_match(etag).json(&settings(changes)))
        .await
}

fn replacing(scene: &Scene) -> Vec<Driver<'_>> {
    let stage = &scene.stage;
    let changed = |changes: Value| async move {
        let spike = stage.sale(json!({})).await;
        stage.change(&spike, changes).await
    };
    vec![
        drive(REPLACE, "200", changed(json!({ "stock": 5 }))),
        drive(
            REPLACE,
            "422 invalid-setting",
            changed(json!({ "name": "" })),
        ),
        drive(REPLACE, "422 bad-rule", changed(bad_rule())),
        drive(
            REPLACE,
            "404 no-spike",
            put(stage, NOBODYS, "\"1\"", json!({})),
        ),
        drive(REPLACE, "409 spike-started", async {
            let spike = stage.sale(json!({})).await;
            let later = crate::stage::now() + std::time::Duration::from_mins(10);
            stage.change(&spike, json!({ "starts_at": later })).await
        }),
        drive(REPLACE, "409 spike-ended", async {
            let spike = stage.ended_sale().await;
            stage.change(&spike, json!({})).await
        }),
        drive(REPLACE, "412 version-mismatch", async {
            let spike = stage.sale(json!({})).await;
            put(stage, &spike, "\"7\"", json!({})).await
        }),
        drive(REPLACE, "428 version-required", async {
            let path = format!("/admin/spikes/{}", scene.things.spike_id);
            let call = Call::new("put", path).json(&settings(json!({})));
            stage.admin(call).await
        }),
        drive(REPLACE, "503 loading", async {
            let spike = scene.mute.sale(1).await;
            scene.mute.is_loading(&spike).await;
            let call = Call::new("put", format!("/admin/spikes/{}", spike.id)).if_match("\"1\"");
            let settings = settings(json!({ "starts_at": spike.settings.starts_at }));
            mute(scene, call.json(&settings)).await
        }),
    ]
}

/// A spike that somebody is loading, for longer than anybody waits.
async fn locked(scene: &Scene) -> String {
    let spike = scene.mute.sale(1).await;
    scene.mute.is_loading(&spike).await;
    spike.id.to_string()
}

async fn mute(scene: &Scene, call: Call) -> Answer {
    let admin = Broken::person(&[domain::Role::Admin]);
    scene.mute.client.send(call.bearer(&admin.token)).await
}

fn deleting(scene: &Scene) -> Vec<Driver<'_>> {
    let stage = &scene.stage;
    let delete = async |spike: &str, etag: &str| {
        let call = Call::new("delete", format!("/admin/spikes/{spike}"));
        stage.admin(call.if_match(etag)).await
    };
    vec![
        drive(DELETE, "204", async move {
            delete(&upcoming(stage).await, "\"1\"").await
        }),
        drive(DELETE, "404 no-spike", async move {
            delete(NOBODYS, "\"1\"").await
        }),
        drive(DELETE, "409 spike-started", async move {
            delete(&stage.sale(json!({})).await, "\"1\"").await
        }),
        drive(DELETE, "412 version-mismatch", async move {
            delete(&upcoming(stage).await, "\"2\"").await
        }),
        drive(DELETE, "428 version-required", async move {
            let spike = upcoming(stage).await;
            stage
                .admin(Call::new("delete", format!("/admin/spikes/{spike}")))
                .await
        }),
        drive(DELETE, "503 loading", async {
            let starts_at = crate::stage::now() + std::time::Duration::from_mins(10);
            let spike = scene.mute.sale_from(starts_at).await;
            scene.mute.is_loading(&spike).await;
            let call = Call::new("delete", format!("/admin/spikes/{}", spike.id));
            mute(scene, call.if_match("\"1\"")).await
        }),
    ]
}

/// Pause and resume answer alike.
fn turning<'a>(scene: &'a Scene, key: &'static str, turn: &'static str) -> Vec<Driver<'a>> {
    let stage = &scene.stage;
    let call = move |spike: &str| Call::post(format!("/admin/spikes/{spike}/{turn}"));
    vec![
        drive(key, "200", async move {
            stage.admin(call(&stage.sale(json!({})).await)).await
        }),
        drive(key, "404 no-spike", async move {
            stage.admin(call(NOBODYS)).await
        }),
        drive(key, "409 spike-ended", async move {
            stage.admin(call(&stage.ended_sale().await)).await
        }),
        drive(key, "412 version-mismatch", async move {
            let spike = stage.sale(json!({})).await;
            stage.admin(call(&spike).if_match("\"7\"")).await
        }),
        drive(key, "503 loading", async move {
            mute(scene, call(&locked(scene).await)).await
        }),
    ]
}

fn users(scene: &Scene) -> Vec<Driver<'_>> {
    let stage = &scene.stage;
    let change = async |user: &str, etag: &str, attributes: Value| {
        let call = Call::new("put", format!("/admin/users/{user}")).if_match(etag);
        let body = json!({ "attributes": attributes, "roles": [] });
        stage.admin(call.json(&body)).await
    };
    let somebody = async || stage.person().await.user_id.to_string();
    vec![
        drive(CHANGE, "200", async move {
            change(&somebody().await, "\"1\"", json!({ "age": 36 })).await
        }),
        drive(CHANGE, "404 no-user", async move {
            change(NOBODYS, "\"1\"", json!({})).await
        }),
        drive(CHANGE, "412 version-mismatch", async move {
            change(&somebody().await, "\"7\"", json!({})).await
        }),
        drive(CHANGE, "422 invalid-setting", async move {
            let deep = json!({ "a": [[[[[]]]]] });
            change(&somebody().await, "\"1\"", deep).await
        }),
        drive(CHANGE, "428 version-required", async move {
            let call = Call::new("put", format!("/admin/users/{}", somebody().await));
            stage
                .admin(call.json(&json!({ "attributes": {}, "roles": [] })))
                .await
        }),
        drive("post /admin/users/import", "200", async {
            let line = json!({ "username": new_name() }).to_string();
            let call = Call::post("/admin/users/import").body("application/x-ndjson", line);
            stage.admin(call).await
        }),
    ]
}

fn letters(scene: &Scene) -> Vec<Driver<'_>> {
    let stage = &scene.stage;
    let redrive = async |id: &str| {
        let call = Call::post(format!("/admin/dead-letters/{id}/redrive"));
        stage.admin(call).await
    };
    vec![
        drive(REDRIVE, "202", async move {
            let things = &scene.things;
            let event = events::envelope::write(&domain::OrderPlaced {
                order_id: things.order_id.parse().unwrap(),
                spike_id: things.spike_id.parse().unwrap(),
                user_id: things.owner.user_id,
                units: [1].into_iter().collect(),
            });
            let event = String::from_utf8(event).unwrap();
            redrive(&stage.dead_letter(&event).await).await
        }),
        drive(REDRIVE, "404 no-dead-letter", async move {
            redrive("nothing").await
        }),
        drive(REDRIVE, "409 not-redrivable", async move {
            redrive(&stage.dead_letter("not an event").await).await
        }),
    ]
}
