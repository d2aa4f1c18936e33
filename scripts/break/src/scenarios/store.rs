//! A store that is away, or throttles.

use std::time::Duration;

use anyhow::ensure;
use race::client::Request;
use tokio::time::sleep;

use super::{Form, all_is_well, broker::dead_letters};
use crate::{
    fleet::Fleet,
    service::Signal,
    shop::{Shop, Terms},
    tap::{Answer, Mode},
};

/// Once it hangs, once it is gone. 202s go on, and nothing becomes a dead letter.
pub async fn fault_14_the_store_is_away(fleet: &Fleet, form: Form) -> anyhow::Result<()> {
    let before = dead_letters(fleet).await?;
    let shop = Shop::open(fleet, Terms::units(40)).await?;
    let crowd = shop.crowd(0, 50, Duration::from_secs(4));
    sleep(Duration::from_secs(1)).await;
    fleet.store.signal(Signal::STOP);
    let published = fleet.events.counts().0;
    sleep(Duration::from_secs(form.pick(3, 60))).await;
    let meanwhile = fleet.events.counts().0 - published;
    fleet.store.signal(Signal::CONT);
    ensure!(meanwhile > 0, "nobody could order while the store was away");
    let shoppers = crowd.ends().await;
    all_is_well(&shop, &shoppers).await?;

    let shop = Shop::open(fleet, Terms::units(40)).await?;
    let crowd = shop.crowd(0, 50, Duration::from_secs(2));
    for _ in 0..form.pick(3, 20) {
        sleep(Duration::from_millis(500)).await;
        fleet.store.kill().await?;
    }
    let shoppers = crowd.ends().await;
    all_is_well(&shop, &shoppers).await?;
    let after = dead_letters(fleet).await?;
    ensure!(after == before, "{} dead letters", after - before);
    // It answers again at once.
    let list = shop.admin(Request::get("/admin/spikes")).await?;
    list.success("the list").map(drop)
}

/// Three calls of ten.
pub async fn fault_15_the_store_throttles(fleet: &Fleet, form: Form) -> anyhow::Result<()> {
    for of_ten in [3, 6].into_iter().take(form.pick(1, 2)) {
        let shop = Shop::open(fleet, Terms::units(20)).await?;
        fleet.store_tap.set(Mode::OfTen(of_ten, Answer::Throttled));
        let crowd = shop.crowd(0, 30, Duration::from_secs(1));
        let shoppers = crowd.ends().await;
        let (_, throttled) = fleet.store_tap.counts();
        ensure!(throttled > 0, "nothing was throttled");
        fleet.store_tap.set(Mode::Pass);
        all_is_well(&shop, &shoppers).await?;
    }
    Ok(())
}
