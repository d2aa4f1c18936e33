//! Instances that come and go: none, one, or two.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use r#break::{
    fleet::Fleet,
    scenarios::all_is_well,
    service::Service,
    shop::{Shop, Terms},
};
use futures::future::{join_all, try_join_all};
use race::api::Accepted;

/// What buyers send requests to, and what those wait for.
const ON_THE_WAY: [&str; 3] = ["spike", "order-writer", "order-query"];
const UNITS: u32 = 10;
const WAITING: usize = 20;

/// Those who come while there is no instance get the answer of the one that is started because of them.
pub(super) async fn a_function_at_zero_is_started_by_requests_that_wait_for_it(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let shop = Shop::open(fleet, Terms::units(UNITS)).await?;
    let mut orders = Vec::new();
    for buyer in 0..WAITING {
        orders.push(shop.order(buyer).await?);
    }
    let gone = ON_THE_WAY.map(|name| fleet.function(name).to_zero());
    try_join_all(gone).await?;
    let starts = ON_THE_WAY.map(|name| fleet.function(name).life().starts);
    let lost = || fleet.gateway.unanswered() + fleet.gateway.given_up();
    let lost_before = lost();
    let answers = join_all(orders.iter().map(|order| fleet.client.send(order))).await;
    let mut outcomes = BTreeMap::<String, u32>::new();
    for answer in answers {
        *outcomes.entry(answer?.outcome()).or_default() += 1;
    }
    ensure!(
        lost() == lost_before,
        "somebody waited in vain: {outcomes:?}"
    );
    // On a busy machine Redis may be late, which the function itself says; that is another's row.
    let expected = ["202", "409 sold-out", "503 unavailable"];
    let others = outcomes
        .keys()
        .filter(|it| !expected.contains(&it.as_str()));
    ensure!(
        others.count() == 0 && outcomes.contains_key("202"),
        "those who waited are answered with {outcomes:?}"
    );
    // Each finds their order, and nobody else does.
    let crowd = shop.crowd(0, u32::try_from(WAITING)?, Duration::ZERO);
    all_is_well(&shop, &crowd.ends().await).await?;
    let now = ON_THE_WAY.map(|name| fleet.function(name).life().starts);
    ensure!(now == starts.map(|it| it + 1), "{starts:?}, then {now:?}");
    Ok(())
}

/// Nothing runs but the servers; whoever is asked for is started.
pub(super) async fn everything_at_zero_is_started_by_a_purchase(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let gone = fleet.functions.iter().filter(|it| it.life().ready);
    try_join_all(gone.map(Service::to_zero)).await?;
    let shop = Shop::open(fleet, Terms::units(2)).await?;
    let shoppers = shop.crowd(0, 4, Duration::ZERO).ends().await;
    all_is_well(&shop, &shoppers).await?;
    let asleep = |name| !fleet.function(name).life().ready;
    ensure!(asleep("order-pay"), "nobody had asked for it");
    Ok(())
}

/// A purchase at one is answered by the other as the same purchase, and together they sell each unit once.
pub(super) async fn two_instances_of_a_function_share_a_sale(fleet: &Fleet) -> anyhow::Result<()> {
    let second = fleet.function("second-spike");
    second.wake();
    second.ready().await?;
    let shop = Shop::open(fleet, Terms::units(40)).await?;
    let order = shop.order(0).await?;
    let served = || ["spike", "second-spike"].map(|name| fleet.gateway.served(name));
    let before = served();
    let mut ids = Vec::new();
    // Whose turn it is depends on who else was called: within so many, both have had theirs.
    for _ in 0..8 {
        let answer = fleet.client.send(&order).await?;
        let Accepted { order_id } = answer.success("an order")?.json()?;
        ids.push(order_id);
        // A buyer may ask five times a second.
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    ids.dedup();
    ensure!(ids.len() == 1, "several orders of one buyer: {ids:?}");
    let after = served();
    ensure!(
        before
            .iter()
            .zip(&after)
            .all(|(before, after)| before < after),
        "served {before:?}, then {after:?}"
    );
    let shoppers = shop.crowd(0, 60, Duration::from_secs(1)).ends().await;
    all_is_well(&shop, &shoppers).await.map(drop)
}
