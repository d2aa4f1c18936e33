//! A file of tunables that cannot be used.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::join_all;
use race::client::Request;
use serde_json::Value;

use super::{Form, all_is_well};
use crate::{
    fleet::{Fleet, UNLIMITED},
    logs::Mark,
    shop::{Shop, Terms},
};

/// One buyer at once for each unit, and one more a second.
const STRICT: &str = "bucket_burst = 1\nbucket_refill = 1\n";
const AT_ONCE: usize = 40;

/// Emptied, half written and swapped for nonsense while people buy, without effect; then swapped for good values, which hold
/// although the file is spoilt again.
pub async fn fault_34_the_tunables_are_broken_and_swapped(
    fleet: &Fleet,
    _form: Form,
) -> anyhow::Result<()> {
    let shop = Shop::open(fleet, Terms::units(20)).await?;
    let small = Shop::open(fleet, Terms::units(1)).await?;
    let crowd = shop.crowd(0, 30, Duration::from_secs(12));
    let tunables = &fleet.tunables;
    let mut refused = Vec::new();
    for (text, problem) in [
        ("", "are empty"),
        ("bucket_burst = 1\nbucket_refi", "half written"),
    ] {
        let mark = Mark::set(&fleet.dir)?;
        tunables.write(text)?;
        refused.push(refusal(fleet, &mark, problem, 0).await?);
        ensure!(busy(&small).await? == 0, "limits out of thin air: {text:?}");
    }
    let mark = Mark::set(&fleet.dir)?;
    tunables.swap(STRICT)?;
    mark.line(&fleet.dir, "spike", &["tunables read", "burst_per_unit: 1"])
        .await?;
    ensure!(busy(&small).await? > 0, "the new values do not hold");
    let mark = Mark::set(&fleet.dir)?;
    tunables.swap("bucket_burst = 0\nbucket_refill = -1\n")?;
    refused.push(refusal(fleet, &mark, "line 2", 1).await?);
    ensure!(busy(&small).await? > 0, "the old values do not stay");
    let counted = refused.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    ensure!(counted, "refused files are counted as {refused:?}");

    let mark = Mark::set(&fleet.dir)?;
    tunables.swap(UNLIMITED)?;
    mark.line(&fleet.dir, "spike", &["tunables read", "burst_per_unit: 0"])
        .await?;
    all_is_well(&shop, &crowd.ends().await).await.map(drop)
}

/// Waits until the file is refused, with these values in force; how many were refused by then.
async fn refusal(fleet: &Fleet, mark: &Mark, problem: &str, burst: u32) -> anyhow::Result<u64> {
    let values = format!("burst_per_unit: {burst}");
    let texts = ["the old ones stay", problem, &values];
    let line = mark.line(&fleet.dir, "spike", &texts).await?;
    let line: Value = serde_json::from_str(&line)?;
    line["refused_total"].as_u64().context("not counted")
}

/// How many of those who come at once are told that the sale is busy.
async fn busy(shop: &Shop<'_>) -> anyhow::Result<usize> {
    let path = format!("/spikes/{}/orders/no-token", shop.spike_id);
    let buyers = shop.fleet.buyers.iter().rev().take(AT_ONCE);
    let tries = buyers.map(async |buyer| {
        let guess = Request::post(path.as_str()).bearer(&buyer.bearer);
        shop.fleet.client.send(&guess).await
    });
    let mut busy = 0;
    for answer in join_all(tries).await {
        match answer?.outcome().as_str() {
            "503 busy" => busy += 1,
            outcome => ensure!(outcome == "404 bad-token", "a guess: {outcome}"),
        }
    }
    Ok(busy)
}
