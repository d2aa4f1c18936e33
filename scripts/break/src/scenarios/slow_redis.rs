//! A Redis that is slow, forgets its scripts, or has no room for us, and what it is asked meanwhile.

use std::time::Duration;

use anyhow::ensure;
use race::client::Answer;
use tokio::time::sleep;

use super::{Form, all_is_well, functions::until};
use crate::{
    fleet::Fleet,
    shop::{Shop, Terms, settle},
    tap::Mode,
};

const UNITS: u32 = 40;
const BUYERS: u32 = 60;
/// Who buys one after the other.
const FEW: usize = 5;
const FEW_CALLS: u64 = 5;
/// More than a purchase waits for.
const FAR_TOO_SLOW: Duration = Duration::from_millis(400);

/// Slow, far too slow, without its scripts, and without room for a client.
pub async fn fault_36_redis_is_slow_full_and_forgets_its_scripts(
    fleet: &Fleet,
    form: Form,
) -> anyhow::Result<()> {
    let broken = Duration::from_secs(form.pick(2, 10));
    let shop = Shop::open(fleet, Terms::units(UNITS)).await?;
    let crowd = shop.crowd(0, BUYERS, broken * 2);
    for delay in [50, 250] {
        for wire in [&fleet.front_wire, &fleet.back_wire] {
            wire.delay(Duration::from_millis(delay));
        }
        sleep(broken).await;
    }
    fleet.restore().await?;
    all_is_well(&shop, &crowd.ends().await).await?;

    nothing_is_sent_twice(fleet).await?;
    a_script_is_loaded_once(fleet).await?;

    let shop = Shop::open(fleet, Terms::units(UNITS)).await?;
    let crowd = shop.crowd(0, BUYERS, broken);
    for _ in 0..form.pick(4, 20) {
        let redis = fleet.redis.lock().await;
        let () = redis.command(&["SCRIPT", "FLUSH"]).await?;
        drop(redis);
        sleep(broken / 5).await;
    }
    all_is_well(&shop, &crowd.ends().await).await?;

    no_room(fleet, broken).await
}

/// Whoever buys from a Redis that is far too slow is told to come again, and has cost it one call.
async fn nothing_is_sent_twice(fleet: &Fleet) -> anyhow::Result<()> {
    let shop = Shop::open(fleet, Terms::units(UNITS)).await?;
    let mut orders = Vec::new();
    for buyer in 0..FEW {
        orders.push(shop.order(buyer).await?);
    }
    let sweeps = fleet.without_sweeps().await;
    fleet.redis.lock().await.count_calls().await?;
    fleet.front_wire.delay(FAR_TOO_SLOW);
    for order in &orders {
        let answer = fleet.client.send(order).await?;
        ensure!(is_away(&answer), "a slow Redis: {}", answer.outcome());
    }
    fleet.front_wire.delay(Duration::ZERO);
    let (called, _) = fleet.redis.lock().await.calls().await?;
    ensure!(
        called == FEW_CALLS,
        "{FEW} purchases called {called} scripts"
    );
    drop(sweeps);
    let shoppers = shop.crowd(0, BUYERS, Duration::from_millis(300));
    all_is_well(&shop, &shoppers.ends().await).await.map(drop)
}

/// What Redis has forgotten is loaded by the first who misses it: `reserve` (and what loads a sale that nobody has bought
/// from) by the purchase, `ack` by the writer. Whoever comes later loads nothing.
async fn a_script_is_loaded_once(fleet: &Fleet) -> anyhow::Result<()> {
    let shop = Shop::open(fleet, Terms::units(UNITS)).await?;
    let mut orders = Vec::new();
    for buyer in 0..FEW {
        orders.push(shop.order(buyer).await?);
    }
    let sweeps = fleet.without_sweeps().await;
    let redis = fleet.redis.lock().await;
    let () = redis.command(&["SCRIPT", "FLUSH"]).await?;
    redis.count_calls().await?;
    let mut missed = None;
    for (order, acked) in orders.iter().zip(1..) {
        fleet.deliveries.set(Mode::Pass);
        let answer = settle(&fleet.client, order).await?;
        answer.success("a purchase without scripts")?;
        until("the order is written", async || {
            Ok(fleet.deliveries.answered() > 0)
        })
        .await?;
        let (called, loaded) = redis.calls().await?;
        let missed = *missed.get_or_insert(loaded);
        ensure!(
            (2..=4).contains(&missed) && loaded == missed,
            "{loaded} scripts loaded by {acked} purchases, {missed} by the first"
        );
        let calls = called + loaded;
        ensure!(calls >= 2 + 2 * acked, "{calls} calls are too few");
    }
    drop((redis, sweeps));
    let shoppers = shop.crowd(0, BUYERS, Duration::from_millis(300));
    all_is_well(&shop, &shoppers.ends().await).await.map(drop)
}

/// All connections are gone, and there are no others for a while: that, too, is told.
async fn no_room(fleet: &Fleet, broken: Duration) -> anyhow::Result<()> {
    let shop = Shop::open(fleet, Terms::units(UNITS)).await?;
    let order = shop.order(0).await?;
    let crowd = shop.crowd(0, BUYERS, broken);
    let full = async { fleet.redis.lock().await.without_room_for(broken).await };
    let mut full = std::pin::pin!(full);
    let mut was_told = false;
    loop {
        let tried = async {
            sleep(Duration::from_millis(250)).await;
            fleet.client.send(&order).await
        };
        tokio::select! {
            done = &mut full => break done?,
            answer = tried => was_told |= is_away(&answer?),
        }
    }
    ensure!(was_told, "nobody was told that Redis has no room");
    all_is_well(&shop, &crowd.ends().await).await.map(drop)
}

/// Whether the answer says that a dependency is away, and when to come again.
fn is_away(answer: &Answer) -> bool {
    answer.outcome() == "503 unavailable" && answer.retry_after().is_some()
}
