//! The race, as it is run against any target.

use anyhow::ensure;
use r#break::fleet::Fleet;

/// A second's rush, and the race's own audit.
pub(super) async fn a_thousand_buyers_race_for_fifty_units(fleet: &Fleet) -> anyhow::Result<()> {
    let options = race::Options {
        base_url: fleet.base_url.clone(),
        admin: fleet.admin.clone(),
        signing_key: Some(fleet.signing_key_file.clone()),
        tokens: None,
        buyers: 1000,
        units: 50,
        quantity: 1,
        window_ms: 1000,
        starts_in_secs: 3,
        open_for_secs: 600,
        pay_within_secs: 900,
        patience_secs: 60,
        connections: 256,
        no_cancel: false,
        quiet: true,
    };
    let report = Box::pin(race::run(&options)).await?;
    ensure!(report.passed(), "{report}");
    Ok(())
}
