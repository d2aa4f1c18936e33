//! The race, with instances that are frozen between two requests.

use anyhow::ensure;
use emulate::cloud::Cloud;
use race::{Options, report::Report};

use crate::stage::{INSTANCES, run};

/// A race, and its audit.
pub(crate) async fn race(cloud: &Cloud, buyers: usize, units: u32) -> anyhow::Result<Report> {
    let options = Options {
        base_url: cloud.base_url.clone(),
        admin: cloud.admin.clone(),
        signing_key: Some(cloud.signing_key_file.clone()),
        tokens: None,
        buyers,
        units,
        quantity: 1,
        window_ms: 1000,
        starts_in_secs: 2,
        open_for_secs: 600,
        pay_within_secs: 900,
        patience_secs: 60,
        // Who comes beyond the most instances is throttled, as on AWS; this many are not.
        connections: INSTANCES - 4,
        no_cancel: false,
        quiet: true,
    };
    let report = Box::pin(race::run(&options)).await?;
    println!("{report}");
    ensure!(report.passed(), "{report}");
    Ok(report)
}

#[test]
fn a_thousand_buyers_race_for_fifty_units() {
    run(|cloud| {
        Box::pin(async {
            let before = cloud.function("spike").counts();
            race(cloud, 1000, 50).await?;
            let counts = cloud.function("spike").counts();
            ensure!(
                counts.invocations - before.invocations >= 1000,
                "{counts:?}"
            );
            ensure!(
                counts.ended == before.ended,
                "an instance has died: {counts:?}"
            );
            Ok(())
        })
    });
}
