//! A Redis that loses data, is slow, or has no room for us.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use store::testing::free_port;
use tokio::time::{Instant, sleep};

use super::{FLAG, Form, all_is_well, functions::until};
use crate::{
    audit::{Allowed, audit, rest, sold_out},
    fleet::Fleet,
    redis::Redis,
    shop::{Shop, Shopper, Terms},
};

const UNITS: u32 = 80;
const BUYERS: u32 = 60;

/// Five times what is due.
const LOADED_WITHIN: Duration = Duration::from_secs(10);

fn terms() -> Terms {
    Terms::pairs(UNITS)
}

/// Units that were another's came free again when the orders that should have got them were rejected; somebody who comes
/// later gets them. Nothing is unsold then.
async fn late_buyers_get_the_rest(
    shop: &Shop<'_>,
    mut shoppers: Vec<Shopper>,
) -> anyhow::Result<()> {
    for _ in 0..5 {
        rest(shop).await?;
        // Who has an order is answered with it.
        let skipped = shoppers.len();
        let late = shop.crowd(skipped, 20, Duration::from_millis(300));
        shoppers.extend(late.ends().await);
        let found = audit(shop, &shoppers, UNITS, Allowed::Rejections).await?;
        let sold = sold_out(shop, &found);
        if sold.is_ok() {
            return Ok(());
        }
        // A flag of a moment ago may have sent them away.
        sleep(Duration::from_secs(1)).await;
    }
    let found = audit(shop, &shoppers, UNITS, Allowed::Rejections).await?;
    sold_out(shop, &found)
}

/// It restarts with what it had a second ago; then the same with the writer killed while it mends that.
pub async fn fault_10_redis_restarts_with_an_older_state(
    fleet: &Fleet,
    form: Form,
) -> anyhow::Result<()> {
    let failpoints = [
        None,
        Some("order-writer.learned"),
        Some("order-writer.reassigned"),
    ];
    for failpoint in failpoints {
        let writer = fleet.function("order-writer");
        if let Some(failpoint) = failpoint {
            writer.arm(failpoint, 1).await?;
        }
        let before = writer.life().aborted;
        let shop = Shop::open(fleet, terms()).await?;
        let crowd = shop.crowd(0, BUYERS, Duration::from_secs(4));
        sleep(Duration::from_secs(1)).await;
        {
            let mut redis = fleet.redis.lock().await;
            let () = redis
                .command(&["CONFIG", "SET", "appendfsync", "always"])
                .await?;
            let mark = redis.mark()?;
            sleep(Duration::from_millis(form.pick(1000, 1500))).await;
            redis.kill().await?;
            redis.set_back(&mark)?;
            redis.start_again().await?;
        }
        let shoppers = crowd.ends().await;
        if let Some(failpoint) = failpoint {
            ensure!(
                writer.life().aborted > before,
                "{failpoint}: the writer met no conflict"
            );
        }
        let context = || format!("with {failpoint:?}");
        late_buyers_get_the_rest(&shop, shoppers)
            .await
            .with_context(context)?;
    }
    rejected_by_who_dies(fleet).await
}

/// All is sold when Redis goes back, so that whoever comes then is promised what is another's, and is told so in the end,
/// although the writer dies with the release undone.
async fn rejected_by_who_dies(fleet: &Fleet) -> anyhow::Result<()> {
    let writer = fleet.function("order-writer");
    let before = writer.life().aborted;
    let shop = Shop::open(fleet, terms()).await?;
    let key = format!("spike:{{{}}}:sale", shop.spike_id);
    // An audit that was still wanted then would mend all before anybody comes.
    until("the sale is audited", async || {
        let redis = fleet.redis.lock().await;
        redis.command::<bool>(&["HEXISTS", &key, "audited"]).await
    })
    .await?;
    let mark = {
        let redis = fleet.redis.lock().await;
        let always = ["CONFIG", "SET", "appendfsync", "always"];
        let () = redis.command(&always).await?;
        redis.mark()?
    };
    let mut shoppers = shop.crowd(0, BUYERS, Duration::from_secs(1)).ends().await;
    all_is_well(&shop, &shoppers).await?;
    writer.arm("order-writer.rejected", 1).await?;
    {
        let mut redis = fleet.redis.lock().await;
        redis.kill().await?;
        redis.set_back(&mark)?;
        redis.start_again().await?;
    }
    sleep(FLAG).await;
    let skipped = shoppers.len();
    let late = shop.crowd(skipped, 20, Duration::ZERO);
    shoppers.extend(late.ends().await);
    writer.died(before).await.context("order-writer.rejected")?;
    let rest = late_buyers_get_the_rest(&shop, shoppers).await;
    rest.context("order-writer.rejected")
}

/// It restarts empty, verdicts included, and whoever loads the sale first dies while it does.
pub async fn fault_11_redis_is_wiped(fleet: &Fleet, _form: Form) -> anyhow::Result<()> {
    for failpoint in [None, Some("sale.counted"), Some("sale.loaded")] {
        let terms = Terms {
            guarded: true,
            ..terms()
        };
        let shop = Shop::open(fleet, terms).await?;
        let loaders = ["spike", "sweeper", "second-sweeper"].map(|name| fleet.function(name));
        let died = || loaders.map(|it| it.life().aborted).iter().sum::<u32>();
        if let Some(failpoint) = failpoint {
            for loader in loaders {
                loader.arm(failpoint, 1).await?;
            }
        }
        let before = died();
        let crowd = shop.crowd(0, BUYERS, Duration::from_secs(3));
        sleep(Duration::from_millis(1500)).await;
        {
            let mut redis = fleet.redis.lock().await;
            redis.kill().await?;
            redis.wipe()?;
            redis.start_again().await?;
        }
        let wiped_at = Instant::now();
        until("the sale is loaded", async || {
            Ok(shop.stats().await?.redis.is_some())
        })
        .await?;
        if failpoint.is_none() {
            // It is due within two seconds.
            ensure!(wiped_at.elapsed() < LOADED_WITHIN, "loaded too late");
        }
        if let Some(failpoint) = failpoint {
            until(failpoint, async || Ok(died() > before)).await?;
        }
        let shoppers = crowd.ends().await;
        late_buyers_get_the_rest(&shop, shoppers)
            .await
            .with_context(|| format!("with {failpoint:?}"))?;
        fleet.restore().await?;
    }
    Ok(())
}

/// Purchases go to the replica at once, while the writer and the sweepers still talk to the old primary.
pub async fn fault_12_a_lagging_replica_takes_over(
    fleet: &Fleet,
    form: Form,
) -> anyhow::Result<()> {
    for round in 0..form.pick(1, 3) {
        let shop = Shop::open(fleet, terms()).await?;
        let crowd = shop.crowd(0, BUYERS, Duration::from_secs(5));
        let mut redis = fleet.redis.lock().await;
        let port = free_port()?;
        let dir = fleet.dir.join(format!("replica-{round}-{port}"));
        let replica = Redis::start(&dir, port, Arc::clone(&fleet.guard)).await?;
        let primary = redis.port.to_string();
        let () = replica
            .command(&["REPLICAOF", "127.0.0.1", &primary])
            .await?;
        replica.caught_up_with(&redis).await?;
        let () = replica.command(&["REPLICAOF", "NO", "ONE"]).await?;
        // It lags from here on.
        sleep(Duration::from_secs(1)).await;
        fleet.front_wire.switch(port);
        sleep(Duration::from_secs(1)).await;
        fleet.back_wire.switch(port);
        let mut old = std::mem::replace(&mut *redis, replica);
        drop(redis);
        let shoppers = crowd.ends().await;
        old.kill().await?;
        late_buyers_get_the_rest(&shop, shoppers).await?;
    }
    Ok(())
}
