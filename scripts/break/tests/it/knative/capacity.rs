//! `prewarm` as a process with a service account.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use r#break::{
    fleet::Fleet,
    shop::{end_all_sales, settle},
};
use http::header;
use prewarm::testing::Cluster;
use race::client::{Client, Request};
use serde_json::{Value, json};

/// Within what `prewarm` may still change something before a start, and far from its guard.
const OPENS_IN: Duration = Duration::from_mins(5);
/// For 2,000 an instance each, by its default.
const BUYERS: u32 = 10_000;

/// A sale is announced: capacity is raised, once, whoever dies after it; when the sale is gone, it is lowered. The kubelet
/// replaces the token meanwhile.
pub(super) async fn prewarm_raises_before_a_sale_and_lowers_when_it_is_gone(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let cluster = fleet.cluster.as_ref().context("there is no cluster")?;
    let function = fleet.function("prewarm");
    let prewarm = Client::new(&format!("http://127.0.0.1:{}", function.port), 1)?;
    let run = async || prewarm.send(&Request::post("/timers/prewarm")).await;
    let outcomes = async || {
        let summary: Value = run().await?.success("the timer")?.json()?;
        let functions = summary["functions"].as_array().cloned();
        let functions = functions.context("no functions")?.into_iter();
        anyhow::Ok(
            functions
                .map(|it| it["outcome"].clone())
                .collect::<Vec<_>>(),
        )
    };
    // During a sale nothing is changed, and those of earlier tests are still open.
    end_all_sales(&fleet.client, &fleet.base_url, &fleet.admin_bearer).await?;
    let before = cluster.inside().patches;
    ensure!(outcomes().await? == vec![json!("kept"); 3], "for nobody");
    let spike = announce(fleet).await?;
    ensure!(outcomes().await? == vec![json!("raised"); 3], "not raised");
    ensure!(scales(cluster) == ["5", "5", "5"], "{:?}", scales(cluster));
    function.kill().await?;
    cluster.rotate("second");
    ensure!(outcomes().await? == vec![json!("kept"); 3], "once more");
    ensure!(cluster.inside().patches == before + 3, "patched again");

    let path = format!("/admin/spikes/{spike}");
    let delete = reqwest::Client::new()
        .delete(format!("{}{path}", fleet.base_url))
        .header(header::AUTHORIZATION, &fleet.admin_bearer)
        .header(header::IF_MATCH, "\"1\"");
    delete.send().await?.error_for_status()?;
    ensure!(
        outcomes().await? == vec![json!("lowered"); 3],
        "not lowered"
    );
    ensure!(scales(cluster) == ["1", "1", "1"], "{:?}", scales(cluster));
    std::fs::write(cluster.token_file(), "first")?;
    let refused = run().await?.outcome();
    cluster.rotate("third");
    ensure!(refused.starts_with("500"), "with an old token: {refused}");
    Ok(())
}

fn scales(cluster: &Cluster) -> [Value; 3] {
    ["spike", "spike-token", "access-check"].map(|name| cluster.scale(name).0)
}

async fn announce(fleet: &Fleet) -> anyhow::Result<String> {
    let at = |after: Duration| runtime::clock::system()() + after;
    let settings = json!({
        "name": "To be announced", "stock": 10, "price": { "amount_minor": 100, "currency": "EUR" },
        "starts_at": at(OPENS_IN), "ends_at": at(2 * OPENS_IN), "expected_buyers": BUYERS,
    });
    let made = Request::post("/admin/spikes").json(&settings);
    let made = settle(&fleet.client, &made.bearer(&fleet.admin_bearer)).await?;
    let made: Value = made.success("POST /admin/spikes")?.json()?;
    Ok(made["spike_id"].as_str().context("no id")?.to_owned())
}
