//! Hundreds of buyers at once: sold is exactly the stock, whoever asks how often.

use std::collections::BTreeSet;

use e2e::client::Answer;
use futures::{StreamExt, stream};
use serde_json::json;

use crate::stage::{Stage, for_the_race, stage};

const UNITS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_buyers_who_ask_three_times_get_exactly_the_stock() {
    let stage = stage().await;
    let spike = stage
        .sale(json!({ "stock": UNITS, "limit_per_user": 1 }))
        .await;
    let buyers = stage.people(200).await;
    let asked = stream::iter(&buyers).map(|buyer| {
        let (stage, spike) = (&stage, &spike);
        async move {
            let mut answers = Vec::new();
            for _ in 0..3 {
                answers.push(stage.order(buyer, spike, 1).await);
            }
            (buyer, answers)
        }
    });
    let asked: Vec<_> = asked.buffer_unordered(64).collect().await;
    let mut winners = Vec::new();
    for (buyer, answers) in asked {
        let outcomes: BTreeSet<_> = answers.iter().map(Answer::outcome).collect();
        let outcomes: Vec<_> = outcomes.into_iter().collect();
        if outcomes == ["202"] {
            let ids: BTreeSet<_> = answers.iter().map(|it| it.text("order_id")).collect();
            assert_eq!(ids.len(), 1, "one order for {}", buyer.username);
            winners.push(buyer);
        } else {
            assert_eq!(outcomes, ["409 sold-out"], "{}", buyer.username);
        }
    }
    assert_eq!(winners.len(), UNITS);
    let mut units = BTreeSet::new();
    for buyer in winners {
        units.insert(bought(&stage, buyer, &spike).await);
    }
    assert_eq!(units, (1..=UNITS as u64).collect());
    let stats = stage.at_rest(&spike).await;
    assert_eq!(
        stats["store"],
        json!({ "free": 0, "held": UNITS, "retired": 0 })
    );
}

async fn bought(stage: &Stage, buyer: &crate::stage::Person, spike: &str) -> u64 {
    let order = stage.buy(buyer, spike, 1).await;
    assert_eq!(order["state"], "placed");
    order["units"][0].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_race_of_five_hundred_passes_its_audit() {
    let _stage = stage().await;
    let Some((base_url, admin, signing_key)) = for_the_race() else {
        return;
    };
    let options = race::Options {
        base_url,
        admin,
        signing_key: Some(signing_key),
        tokens: None,
        buyers: 500,
        units: 20,
        quantity: 1,
        window_ms: 1000,
        starts_in_secs: 3,
        open_for_secs: 600,
        pay_within_secs: 900,
        patience_secs: 30,
        connections: 64,
        no_cancel: false,
        quiet: true,
    };
    let report = Box::pin(race::run(&options)).await.unwrap();
    assert!(report.passed(), "{report}");
}
