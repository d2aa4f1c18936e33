//! `prewarm` as a process with a service account.

use anyhow::{Context as _, ensure};
use r#break::fleet::Fleet;
use race::client::{Answer, Client, Request};
use serde_json::{Value, json};

/// With the token that the kubelet has written last. What is changed for which sale is told by `prewarm`'s own tests: here others'
/// sales are open, during which nothing is.
pub(super) async fn a_timer_asks_the_cluster_about_every_hot_function(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let cluster = fleet.cluster.as_ref().context("there is no cluster")?;
    let prewarm = fleet.function("prewarm").port;
    let prewarm = Client::new(&format!("http://127.0.0.1:{prewarm}"), 1)?;
    let run = async || prewarm.send(&Request::post("/timers/prewarm")).await;
    let seen = |answer: Answer| {
        let summary: Value = answer.success("the timer")?.json()?;
        let functions = summary["functions"].as_array().context("no functions")?;
        let names: Vec<&Value> = functions.iter().map(|it| &it["function"]).collect();
        ensure!(
            names == ["spike", "spike-token", "access-check"],
            "{summary}"
        );
        let level = |it: &Value| it["instances"] == 1 && it["outcome"] != json!("raised");
        ensure!(functions.iter().all(level), "{summary}");
        Ok(())
    };
    seen(run().await?)?;
    // The kubelet replaces the token while the process runs.
    cluster.rotate("second");
    seen(run().await?)?;
    std::fs::write(cluster.token_file(), "first")?;
    let refused = run().await?;
    cluster.rotate("third");
    ensure!(
        refused.status == 500,
        "with an old token: {}",
        refused.outcome()
    );
    seen(run().await?)
}
