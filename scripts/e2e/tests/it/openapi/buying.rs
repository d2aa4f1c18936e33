//! Answers of the operations of buyers.

use std::time::Duration;

use domain::Spike;
use e2e::client::{Answer, Call};
use serde_json::{Value, json};
use stock::Truth;

use super::{Driver, Scene, drive};
use crate::{
    broken::Broken,
    stage::{Person, Stage, now},
};

const NOBODYS: &str = "01900000-0000-7000-8000-000000000000";

pub(crate) fn drivers(scene: &Scene) -> Vec<Driver<'_>> {
    let mut drivers = around(scene);
    drivers.extend(purchases(scene));
    drivers.extend(refusals_of_all(scene));
    drivers.extend(of_broken_parts(scene));
    drivers.extend(orders(scene));
    drivers.extend(ends(scene));
    drivers
}

/// The spike's pages, access and path tokens.
fn around(scene: &Scene) -> Vec<Driver<'_>> {
    let (stage, things) = (&scene.stage, &scene.things);
    let get = |path: String| {
        let call = Call::get(path).bearer(&things.owner.token);
        async move { stage.send(call).await }
    };
    let token = move |spike: String| {
        let call = Call::post(format!("/spikes/{spike}/token"));
        let call = call.bearer(&things.owner.token);
        async move { stage.send(call).await }
    };
    let spike = &things.spike_id;
    let access = |spike: &str| get(format!("/spikes/{spike}/access"));
    vec![
        drive("get /spikes", "200", get("/spikes".to_owned())),
        drive(
            "get /spikes/{spike_id}",
            "200",
            get(format!("/spikes/{spike}")),
        ),
        drive(
            "get /spikes/{spike_id}",
            "404 no-spike",
            get(format!("/spikes/{NOBODYS}")),
        ),
        drive("get /spikes/{spike_id}/access", "200", access(spike)),
        drive(
            "get /spikes/{spike_id}/access",
            "404 no-spike",
            access(NOBODYS),
        ),
        drive("post /spikes/{spike_id}/token", "200", token(spike.clone())),
        drive(
            "post /spikes/{spike_id}/token",
            "404 no-spike",
            async move {
                // A system that has just started does not know yet that there is no such spike.
                loop {
                    let answer = token(NOBODYS.to_owned()).await;
                    if answer.outcome() != "503 loading" {
                        return answer;
                    }
                }
            },
        ),
        drive("post /spikes/{spike_id}/token", "410 ended", async move {
            token(stage.ended_sale().await).await
        }),
        drive(
            "post /spikes/{spike_id}/token",
            "425 too-early",
            async move { token(upcoming(stage).await).await },
        ),
        drive("post /spikes/{spike_id}/token", "503 loading", async {
            let person = Broken::person(&[]);
            let call = Call::post(format!("/spikes/{NOBODYS}/token"));
            scene.mute.client.send(call.bearer(&person.token)).await
        }),
    ]
}

/// A spike that opens in an hour.
pub(crate) async fn upcoming(stage: &Stage) -> String {
    let starts_at = now() + Duration::from_hours(1);
    let ends_at = starts_at + Duration::from_hours(1);
    stage
        .sale(json!({ "starts_at": starts_at, "ends_at": ends_at }))
        .await
}

const PAY: &str = "post /orders/{order_id}/pay";
const CANCEL: &str = "post /orders/{order_id}/cancel";
const ORDER: &str = "post /spikes/{spike_id}/orders/{token}";

/// One request, whatever comes.
async fn ask(stage: &Stage, person: &Person, spike: &str, token: &str, body: Value) -> Answer {
    let call = Call::post(format!("/spikes/{spike}/orders/{token}"));
    stage.send(call.bearer(&person.token).json(&body)).await
}

fn purchases(scene: &Scene) -> Vec<Driver<'_>> {
    let stage = &scene.stage;
    vec![
        drive(ORDER, "202", async {
            let spike = stage.sale(json!({})).await;
            stage.order(&stage.person().await, &spike, 1).await
        }),
        drive(ORDER, "403 denied", async {
            let rule = json!({ "name": "nobody", "allow_if": "false", "reason": "Not for you." });
            let spike = stage.sale(json!({ "rules": [rule] })).await;
            stage.order(&stage.person().await, &spike, 1).await
        }),
        drive(ORDER, "404 bad-token", async {
            let token = "mJ8vX2n0Qk1yq3uPz7dLbA";
            let spike = stage.sale(json!({})).await;
            ask(stage, &stage.person().await, &spike, token, json!({})).await
        }),
        drive(ORDER, "409 not-enough", async {
            let spike = stage.sale(json!({ "stock": 1 })).await;
            stage.order(&stage.person().await, &spike, 2).await
        }),
        drive(ORDER, "422 over-limit", async {
            let spike = stage.sale(json!({})).await;
            stage.order(&stage.person().await, &spike, 3).await
        }),
        drive(ORDER, "425 too-early", async {
            // A path token is handed out only once a sale is open: this one is made here.
            let starts_at = now() + Duration::from_mins(10);
            let (spike, person) = (scene.mute.sale_from(starts_at).await, Broken::person(&[]));
            let token = scene.mute.path_token(&person, spike.id);
            let call = Call::post(format!("/spikes/{}/orders/{token}", spike.id));
            let call = call.bearer(&person.token).json(&json!({}));
            scene.mute.client.send(call).await
        }),
        drive(ORDER, "429 slow-down", async {
            let (spike, person) = (stage.sale(json!({})).await, stage.person().await);
            loop {
                let answer = ask(stage, &person, &spike, "wrong", json!({})).await;
                if answer.outcome() != "404 bad-token" {
                    return answer;
                }
            }
        }),
    ]
}

fn refusals_of_all(scene: &Scene) -> Vec<Driver<'_>> {
    let stage = &scene.stage;
    vec![
        drive(ORDER, "409 paused", async {
            let (spike, person) = (stage.sale(json!({})).await, stage.person().await);
            let token = stage.path_token(&person, &spike).await;
            let path = format!("/admin/spikes/{spike}/pause");
            stage.admin(Call::post(path)).await.expect("200");
            ask(stage, &person, &spike, &token, json!({})).await
        }),
        drive(ORDER, "409 sold-out", async {
            let spike = stage.sale(json!({ "stock": 1 })).await;
            stage.buy(&stage.person().await, &spike, 1).await;
            stage.order(&stage.person().await, &spike, 1).await
        }),
        drive(ORDER, "410 ended", async {
            let (spike, person) = (stage.sale(json!({})).await, stage.person().await);
            let token = stage.path_token(&person, &spike).await;
            let ends_at = now() - Duration::from_millis(1);
            let ended = stage.change(&spike, json!({ "ends_at": ends_at })).await;
            ended.expect("200");
            ask(stage, &person, &spike, &token, json!({})).await
        }),
    ]
}

fn of_broken_parts(scene: &Scene) -> Vec<Driver<'_>> {
    let mute = &scene.mute;
    let order = async |spike: &Spike| {
        let person = Broken::person(&[]);
        let token = mute.path_token(&person, spike.id);
        let call = Call::post(format!("/spikes/{}/orders/{token}", spike.id));
        mute.client.send(call.bearer(&person.token)).await
    };
    vec![
        drive(ORDER, "503 busy", async move {
            // Nothing is sold, so that no sold-out sale answers for the bucket.
            let (spike, person) = (mute.sale(1).await, Broken::person(&[]));
            loop {
                let call = Call::post(format!("/spikes/{}/orders/wrong", spike.id));
                let answer = mute.client.send(call.bearer(&person.token)).await;
                if !["404 bad-token", "429 slow-down"].contains(&&*answer.outcome()) {
                    return answer;
                }
            }
        }),
        drive(ORDER, "503 loading", async move {
            let spike = mute.sale(9).await;
            mute.is_loading(&spike).await;
            order(&spike).await
        }),
        drive(ORDER, "503 healing", async move {
            let spike = mute.sale(9).await;
            order(&spike).await.expect("503 unconfirmed");
            let learned = mute
                .stock
                .learn(spike.id, 9, &Truth::Retired, None, 2_000)
                .await;
            assert!(learned.unwrap());
            order(&spike).await
        }),
        drive(ORDER, "503 unconfirmed", async move {
            order(&mute.sale(9).await).await
        }),
    ]
}

fn orders(scene: &Scene) -> Vec<Driver<'_>> {
    let stage = &scene.stage;
    let owner = &scene.things.owner;
    let get = |path: String| {
        let call = Call::get(path).bearer(&owner.token);
        async move { stage.send(call).await }
    };
    vec![
        drive("get /orders", "200", get("/orders".to_owned())),
        drive(
            "get /orders/{order_id}",
            "200",
            get(format!("/orders/{}", scene.things.order_id)),
        ),
        drive(
            "get /orders/{order_id}",
            "404 no-order",
            get(format!("/orders/{NOBODYS}")),
        ),
        drive(
            "get /spikes/{spike_id}/order",
            "200",
            get(format!("/spikes/{}/order", scene.things.spike_id)),
        ),
        drive(
            "get /spikes/{spike_id}/order",
            "404 no-order",
            get(format!("/spikes/{NOBODYS}/order")),
        ),
    ]
}

/// Pays for orders and cancels them.
fn ends(scene: &Scene) -> Vec<Driver<'_>> {
    let stage = &scene.stage;
    let owner = &scene.things.owner;
    let bought = async || {
        let (spike, person) = (stage.sale(json!({})).await, stage.person().await);
        let order = stage.buy(&person, &spike, 1).await;
        (person, order)
    };
    let nobodys = json!({ "order_id": NOBODYS });
    let also_nobodys = nobodys.clone();
    vec![
        drive(PAY, "200", async move {
            let (person, order) = bought().await;
            stage.pay(&person, &order, "test-approve").await
        }),
        drive(PAY, "402 payment-declined", async move {
            let (person, order) = bought().await;
            stage.pay(&person, &order, "test-decline").await
        }),
        drive(PAY, "404 no-order", async move {
            stage.pay(owner, &nobodys, "test-approve").await
        }),
        drive(PAY, "409 order-ended", async move {
            let (person, order) = bought().await;
            stage.cancel(&person, &order).await.expect("200");
            stage.pay(&person, &order, "test-approve").await
        }),
        drive(CANCEL, "200", async move {
            let (person, order) = bought().await;
            stage.cancel(&person, &order).await
        }),
        drive(CANCEL, "404 no-order", async move {
            stage.cancel(owner, &also_nobodys).await
        }),
        drive(CANCEL, "409 order-paid", async move {
            let (person, order) = bought().await;
            stage
                .pay(&person, &order, "test-approve")
                .await
                .expect("200");
            stage.cancel(&person, &order).await
        }),
        drive(CANCEL, "409 order-ended", async move {
            let spike = stage.sale(json!({ "pay_within_secs": 1 })).await;
            let person = stage.person().await;
            let order = stage.buy(&person, &spike, 1).await;
            stage.state(&person, &order, "expired").await;
            stage.cancel(&person, &order).await
        }),
    ]
}
