//! `prewarm` provisions concurrency before a sale, and gives it back.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use r#break::shop::{end_all_sales, settle};
use bytes::Bytes;
use emulate::cloud::Cloud;
use race::{
    admin::login,
    api::bearer,
    client::{Client, Request},
};
use serde_json::{Value, json};

use crate::stage::run;

const HOT: [&str; 3] = ["spike", "spike-token", "access-check"];
/// Within what `prewarm` may still change something before a start, and far from its guard.
const OPENS_IN: Duration = Duration::from_mins(5);
/// For 50 an instance each.
const BUYERS: u32 = 200;

#[test]
fn prewarm_provisions_before_a_sale_and_gives_back_when_it_is_gone() {
    run(|cloud| {
        Box::pin(async {
            let client = Client::new(&cloud.base_url, 4)?;
            let (name, password) = cloud.admin.split_once(':').context("no password")?;
            let admin = login(&client, name, password).await?.access_token;
            let admin = bearer(&admin)?;
            let end_all = async || end_all_sales(&client, &cloud.base_url, &admin).await;
            // During a sale nothing is changed, and those of earlier tests are still open.
            end_all().await?;
            prewarm(cloud).await?;
            ensure!(provisioned(cloud) == [0, 0, 0], "for nobody");
            let at = |after: Duration| runtime::clock::system()() + after;
            let settings = json!({
                "name": "To be announced", "stock": 10, "price": { "amount_minor": 100, "currency": "EUR" },
                "starts_at": at(OPENS_IN), "ends_at": at(2 * OPENS_IN), "expected_buyers": BUYERS,
            });
            let made = Request::post("/admin/spikes").json(&settings);
            let made = settle(&client, &made.bearer(&admin)).await?;
            made.success("POST /admin/spikes")?;
            prewarm(cloud).await?;
            ensure!(provisioned(cloud) == [4, 4, 4], "{:?}", provisioned(cloud));
            end_all().await?;
            prewarm(cloud).await?;
            ensure!(provisioned(cloud) == [0, 0, 0], "{:?}", provisioned(cloud));
            Ok(())
        })
    });
}

fn provisioned(cloud: &Cloud) -> [u32; 3] {
    HOT.map(|name| cloud.provisioned.of(&format!("spike-{name}")).unwrap_or(0))
}

async fn prewarm(cloud: &Cloud) -> anyhow::Result<()> {
    let timer = Bytes::from(r#"{"path":"/timers/prewarm"}"#);
    let answer = cloud.function("prewarm").invoke(timer).await?;
    let summary: Value = serde_json::from_slice(&answer)?;
    let functions = summary["functions"].as_array().context("no functions")?;
    let names: Vec<&Value> = functions.iter().map(|it| &it["function"]).collect();
    ensure!(names == HOT, "{summary}");
    Ok(())
}
