//! A `local` of its own that is killed while it sells. How it starts and ends otherwise is told by its own tests.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use e2e::client::Call;
use futures::{StreamExt, stream};
use local::testing::Process;
use serde_json::json;

use crate::stage::{Person, Stage, now, sign, stage_of, until};

const UNITS: usize = 30;

/// The binary, beside the directory of this one. `cargo test` builds it with the tests of `local`; where only this
/// package is tested for the first time, it is built now.
fn binary() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let binary = here.ancestors().nth(2).unwrap().join("local");
    if !binary.exists() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--package", "local", "--bin", "local"]);
        assert!(build.status().unwrap().success());
    }
    binary
}

async fn start(data: &Path) -> (Process, Stage) {
    let process = Process::start(&binary(), data).await.unwrap();
    let stage = stage_of(&process).await;
    (process, stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_a_sale_it_keeps_every_accepted_order_and_the_stock() {
    let data = tempfile::tempdir().unwrap();
    let (process, stage) = start(data.path()).await;
    let starts_at = now();
    let spike = stage
        .sale(json!({ "stock": UNITS, "starts_at": starts_at }))
        .await;
    let buyers = stage.people(2 * UNITS).await;
    let asked = stream::iter(&buyers).map(|buyer| try_to_buy(&stage, buyer, &spike));
    let mut under_way = Box::pin(asked.buffer_unordered(8));
    let mut accepted = Vec::new();
    while accepted.len() < UNITS / 2 {
        let answer = under_way.next().await.expect("there are buyers left");
        accepted.extend(answer);
    }
    process.kill().await.unwrap();
    // What was answered before the end counts as well.
    while let Some(answer) = under_way.next().await {
        accepted.extend(answer);
    }
    drop(under_way);

    let (process, stage) = start(data.path()).await;
    let again = |buyer: &Person| Person {
        token: sign(stage.signing_key.as_ref().unwrap(), buyer.user_id, &[]),
        ..buyer.clone()
    };
    for (buyer, order_id) in &accepted {
        let order = json!({ "order_id": order_id });
        stage.state(&again(buyer), &order, "placed").await;
    }
    let mut units = BTreeSet::new();
    for buyer in buyers.iter().map(again) {
        if stage.order(&buyer, &spike, 1).await.outcome() == "202" {
            let order = stage.buy(&buyer, &spike, 1).await;
            assert!(units.insert(order["units"][0].as_u64().unwrap()), "{order}");
        }
    }
    assert_eq!(units, (1..=UNITS as u64).collect());
    let stats = stage.at_rest(&spike).await;
    assert_eq!(
        stats["store"],
        json!({ "free": 0, "held": UNITS, "retired": 0 })
    );
    process.stop().await.unwrap();
}

/// The order, if one was accepted before the server was gone.
async fn try_to_buy(stage: &Stage, buyer: &Person, spike: &str) -> Option<(Person, String)> {
    let bought = until("an answer, or the end", async || {
        let call = Call::post(format!("/spikes/{spike}/token")).bearer(&buyer.token);
        let Ok(token) = stage.client.try_send(call).await else {
            return Some(None);
        };
        let path = format!("/spikes/{spike}/orders/{}", token.text("token"));
        match stage
            .client
            .try_send(Call::post(path).bearer(&buyer.token))
            .await
        {
            Ok(answer) if answer.outcome() == "202" => Some(Some(answer.text("order_id"))),
            Ok(_) => None,
            Err(_) => Some(None),
        }
    });
    let order_id = bought.await?;
    Some((buyer.clone(), order_id))
}
