//! Functions that are stopped or killed at any moment, under load.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::future::{self, Either};
use tokio::time::sleep;

use super::{Form, all_is_well};
use crate::{
    fleet::Fleet,
    service::Signal,
    shop::{Shop, Terms},
};

/// What buyers send requests to.
const IN_FRONT: [&str; 4] = ["spike", "spike-token", "order-query", "order-writer"];

/// Each says that it is not ready, finishes what it has, and ends with success; no request goes unanswered. A hundred times
/// in the long form, twelve times in the short one.
pub async fn fault_33_sigterm_under_load(fleet: &Fleet, form: Form) -> anyhow::Result<()> {
    let times = form.pick(12, 100);
    let unanswered = fleet.gateway.unanswered();
    let lives = || IN_FRONT.map(|name| fleet.function(name).life());
    let before = lives();
    let mut done = 0;
    while done < times {
        let shop = Shop::open(fleet, Terms::units(60)).await?;
        let crowd = shop.crowd(0, 100, Duration::from_secs(4));
        for name in IN_FRONT.into_iter().cycle().take(times.min(12)) {
            let service = fleet.function(name);
            let drained = service.life().drained;
            service.signal(Signal::TERM);
            let again = |life: &crate::service::Life| life.drained > drained && life.ready;
            service
                .until("ends with success and runs again", again)
                .await?;
            done += 1;
        }
        all_is_well(&shop, &crowd.ends().await).await?;
    }
    let unanswered = fleet.gateway.unanswered() - unanswered;
    ensure!(unanswered == 0, "{unanswered} requests got no answer");
    for (before, after) in before.into_iter().zip(lives()) {
        ensure!(
            after.failed == before.failed,
            "a function ended with an error"
        );
        let (drained, unready) = (
            after.drained - before.drained,
            after.unready - before.unready,
        );
        ensure!(
            drained == unready,
            "{unready} of {drained} said first that they are not ready"
        );
    }
    Ok(())
}

/// The race's own buyers and the race's own audit, while a function dies every second.
pub async fn fault_09_kill_anything_every_second(fleet: &Fleet, form: Form) -> anyhow::Result<()> {
    let options = race::Options {
        base_url: fleet.base_url.clone(),
        admin: fleet.admin.clone(),
        signing_key: Some(fleet.signing_key_file.clone()),
        tokens: None,
        buyers: form.pick(300, 2000),
        units: form.pick(120, 400),
        quantity: 2,
        window_ms: form.pick(4000, 30_000),
        starts_in_secs: 1,
        open_for_secs: 600,
        pay_within_secs: 900,
        patience_secs: 120,
        connections: 128,
        no_cancel: false,
        quiet: true,
    };
    let race = Box::pin(race::run(&options));
    let killing = Box::pin(async {
        loop {
            sleep(form.pick(Duration::from_millis(700), Duration::from_secs(2))).await;
            let index = rand::random_range(0..fleet.functions.len());
            if let Err(error) = fleet.functions[index].kill().await {
                break error;
            }
        }
    });
    let report = match future::select(race, killing).await {
        Either::Left((report, _)) => report?,
        Either::Right((error, _)) => return Err(error).context("the killing came to an end"),
    };
    let broken = report.checks.iter().find(|check| !check.kept);
    match broken {
        Some(check) => bail!("{}: {}", check.promise, check.found),
        None => Ok(()),
    }
}
