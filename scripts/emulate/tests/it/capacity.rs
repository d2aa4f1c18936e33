//! `prewarm` asks for provisioned concurrency.

use anyhow::ensure;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::stage::run;

/// What is changed for which sale is told by `prewarm`'s own tests: here sales of others may be open, during which nothing is.
#[test]
fn a_timer_asks_lambda_about_every_hot_function() {
    run(|cloud| {
        Box::pin(async {
            let timer = Bytes::from(r#"{"path":"/timers/prewarm"}"#);
            let answer = cloud.function("prewarm").invoke(timer).await?;
            let summary: Value = serde_json::from_slice(&answer)?;
            let names = summary["functions"].as_array().into_iter().flatten();
            let names: Vec<&Value> = names.map(|it| &it["function"]).collect();
            let hot = [json!("spike"), json!("spike-token"), json!("access-check")];
            ensure!(names == hot.iter().collect::<Vec<_>>(), "{summary}");
            Ok(())
        })
    });
}
