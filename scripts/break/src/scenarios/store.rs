//! A store that is away, or throttles.

use std::time::Duration;

use anyhow::ensure;
use race::{
    api::{Accepted, OrderView},
    client::Request,
};
use tokio::time::sleep;

use super::{Form, all_is_well, broker::dead_letters};
use crate::{
    fleet::Fleet,
    service::Signal,
    shop::{Shop, Terms, settle},
    tap::{Answer, Mode},
};

/// A buyer who is in no crowd.
const LAST: usize = 390;

/// Once it hangs, once it is gone. 202s go on, their orders are queued meanwhile, and nothing becomes a dead letter.
pub async fn fault_14_the_store_is_away(fleet: &Fleet, form: Form) -> anyhow::Result<()> {
    let before = dead_letters(fleet).await?.len();
    let shop = Shop::open(fleet, Terms::units(40)).await?;
    let crowd = shop.crowd(0, 50, Duration::from_secs(4));
    sleep(Duration::from_secs(1)).await;
    let order = shop.order(LAST).await?;
    fleet.store.signal(Signal::STOP);
    let accepted = settle(&fleet.client, &order).await;
    let queued = shop.mine(LAST).await;
    sleep(Duration::from_secs(form.pick(2, 60))).await;
    fleet.store.signal(Signal::CONT);
    let accepted = accepted?.success("an order while the store was away")?;
    let Accepted { order_id } = accepted.json()?;
    let queued: OrderView = queued?.success("Location")?.json()?;
    ensure!(
        queued.order_id == order_id && !queued.is_durable(),
        "I3: {order_id} was promised, and shown is {queued:?}"
    );
    let mut shoppers = crowd.ends().await;
    let shopper = shop.goes_on(LAST).await?;
    ensure!(shopper.accepted == [order_id], "I3: another order");
    shoppers.push(shopper);
    all_is_well(&shop, &shoppers).await?;

    let shop = Shop::open(fleet, Terms::units(40)).await?;
    let crowd = shop.crowd(0, 50, Duration::from_secs(2));
    for _ in 0..form.pick(3, 20) {
        sleep(Duration::from_millis(500)).await;
        fleet.store.kill().await?;
    }
    let shoppers = crowd.ends().await;
    all_is_well(&shop, &shoppers).await?;
    let after = dead_letters(fleet).await?.len();
    ensure!(after == before, "{} dead letters", after - before);
    // It answers again at once.
    let list = shop.admin(Request::get("/admin/spikes")).await?;
    list.success("the list").map(drop)
}

/// Three calls of ten.
pub async fn fault_15_the_store_throttles(fleet: &Fleet, form: Form) -> anyhow::Result<()> {
    let tap = fleet.store_way.tap()?;
    for of_ten in [3, 6].into_iter().take(form.pick(1, 2)) {
        let shop = Shop::open(fleet, Terms::units(20)).await?;
        tap.set(Mode::OfTen(of_ten, Answer::Throttled));
        let crowd = shop.crowd(0, 30, Duration::from_secs(1));
        let shoppers = crowd.ends().await;
        let (_, throttled) = tap.counts();
        ensure!(throttled > 0, "nothing was throttled");
        tap.set(Mode::Pass);
        all_is_well(&shop, &shoppers).await?;
    }
    Ok(())
}
