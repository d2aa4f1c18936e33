//! Functions that are killed between two durable steps, at every such place in turn.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http::header;
use race::{
    api::{Accepted, OrderView},
    client::{Answer, Request},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{FLAG, Form, all_is_well};
use crate::{
    audit::{Allowed, audit, rest},
    fleet::Fleet,
    service::DEADLINE,
    shop::{End, SETTINGS, Shop, Shopper, Terms, settle},
    tap::Mode,
};

/// A sale during which `function` dies at a failpoint, and is not missed.
async fn dies_during_a_sale(
    fleet: &Fleet,
    terms: Terms,
    function: &str,
    failpoint: &str,
    passing: u32,
) -> anyhow::Result<()> {
    let context = || format!("{failpoint}, passing {passing}");
    let service = fleet.function(function);
    let before = service.life().aborted;
    service.arm(failpoint, passing).await?;
    let shop = Shop::open(fleet, terms).await?;
    let crowd = shop.crowd(0, 12, Duration::from_millis(500));
    service.died(before).await.with_context(context)?;
    let shoppers = crowd.ends().await;
    all_is_well(&shop, &shoppers)
        .await
        .with_context(context)
        .map(drop)
}

/// Without a retry: the sweeper publishes what `spike` could not. Then with retries, in the midst of a sale.
pub async fn fault_01_killed_between_reserve_and_publish(
    fleet: &Fleet,
    form: Form,
) -> anyhow::Result<()> {
    // With a rule it dies behind the second call, which brings the verdict.
    let terms = Terms {
        guarded: true,
        ..Terms::units(1)
    };
    let shop = Shop::open(fleet, terms).await?;
    let service = fleet.function("spike");
    let before = service.life().aborted;
    service.arm("spike.reserved", 1).await?;
    let buyer = &fleet.buyers[0];
    let order = shop.order(0).await?;
    let answer = fleet.client.send(&order).await;
    ensure!(is_unanswered(&answer), "a process that died has answered");
    service.died(before).await?;
    let my_order = Request::get(format!("/spikes/{}/order", shop.spike_id));
    let until = Instant::now() + DEADLINE;
    let written = loop {
        let answer = shop.ask(buyer, my_order.clone()).await?;
        ensure!(
            answer.status.as_u16() == 200,
            "I8: the reservation is gone: {}",
            answer.outcome()
        );
        let view: OrderView = answer.json()?;
        if view.is_durable() {
            break view;
        }
        ensure!(Instant::now() < until, "the sweeper does not publish it");
        sleep(Duration::from_millis(200)).await;
    };
    let again = fleet.client.send(&shop.order(0).await?).await?;
    let Accepted { order_id } = again.success("the buyer's retry")?.json()?;
    ensure!(order_id == written.order_id, "another order for a retry");
    let shopper = Shopper {
        buyer: buyer.clone(),
        accepted: vec![order_id],
        end: End::Order(written),
    };
    let stranger = Shopper {
        buyer: fleet.buyers[1].clone(),
        accepted: Vec::new(),
        end: End::Refused,
    };
    all_is_well(&shop, &[shopper, stranger]).await?;
    for passing in 1..=form.pick(1, 6) {
        dies_during_a_sale(fleet, Terms::units(8), "spike", "spike.reserved", passing).await?;
    }
    Ok(())
}

/// The buyer's retry gets the order that the first try has made.
pub async fn fault_02_killed_after_the_brokers_ack(
    fleet: &Fleet,
    form: Form,
) -> anyhow::Result<()> {
    for passing in [1, 4, 6, 8].into_iter().take(form.pick(2, 4)) {
        dies_during_a_sale(fleet, Terms::units(8), "spike", "spike.published", passing).await?;
    }
    Ok(())
}

/// Before the commit, between commit and acknowledgement, and after it.
pub async fn fault_09_the_writer_is_killed_around_its_commit(
    fleet: &Fleet,
    form: Form,
) -> anyhow::Result<()> {
    for failpoint in [
        "order-writer.read",
        "order-writer.committed",
        "order-writer.acked",
    ] {
        for passing in [2, 1, 5, 8].into_iter().take(form.pick(1, 4)) {
            dies_during_a_sale(fleet, Terms::pairs(16), "order-writer", failpoint, passing).await?;
        }
    }
    Ok(())
}

/// Both sweepers are called at the same moments, and each dies in the midst of publishing and of expiring.
pub async fn fault_17_two_sweepers_killed_at_every_step(
    fleet: &Fleet,
    _form: Form,
) -> anyhow::Result<()> {
    let sweepers = ["sweeper", "second-sweeper"].map(|name| fleet.function(name));
    for failpoint in ["sweeper.taken", "sweeper.published"] {
        let died = || {
            sweepers
                .map(|sweeper| sweeper.life().aborted)
                .iter()
                .sum::<u32>()
        };
        let before = died();
        fleet.events.set(Mode::Refuse);
        for sweeper in sweepers {
            sweeper.arm(failpoint, 1).await?;
        }
        let shop = Shop::open(fleet, Terms::units(8)).await?;
        let crowd = shop.crowd(0, 12, Duration::from_millis(500));
        until(failpoint, async || Ok(died() > before)).await?;
        fleet.events.set(Mode::Pass);
        let shoppers = crowd.ends().await;
        all_is_well(&shop, &shoppers).await.context(failpoint)?;
        fleet.restore().await?;
    }
    for failpoint in ["sale.expired", "sale.released"] {
        let died = || {
            sweepers
                .map(|sweeper| sweeper.life().aborted)
                .iter()
                .sum::<u32>()
        };
        let before = died();
        for sweeper in sweepers {
            sweeper.arm(failpoint, 2).await?;
        }
        let terms = Terms {
            pay_within: Duration::from_secs(1),
            ..Terms::pairs(16)
        };
        let shop = Shop::open(fleet, terms).await?;
        let shoppers = shop.crowd(0, 8, Duration::from_millis(200)).ends().await;
        until(failpoint, async || Ok(died() > before)).await?;
        until("all orders expire", async || {
            Ok(shop.stats().await?.store.free == 16)
        })
        .await?;
        let found = audit(&shop, &shoppers, 16, Allowed::Nothing).await?;
        ensure!(found.live.is_empty(), "I6: an expired order is live");
        fleet.restore().await?;
    }
    Ok(())
}

/// The unit of a cancelled order comes back once, and an order is paid once, wherever the function died.
pub async fn fault_19_cancel_and_pay_are_killed_between_store_and_redis(
    fleet: &Fleet,
    _form: Form,
) -> anyhow::Result<()> {
    let shop = Shop::open(fleet, Terms::pairs(12)).await?;
    let mut shoppers = shop.crowd(0, 6, Duration::from_millis(200)).ends().await;
    all_is_well(&shop, &shoppers).await?;
    let steps = [
        ("order-cancel", "sale.ended", "cancel", "cancelled"),
        ("order-cancel", "sale.released", "cancel", "cancelled"),
        ("order-pay", "order-pay.charged", "pay", "paid"),
        ("order-pay", "order-pay.paid", "pay", "paid"),
    ];
    for (index, (function, failpoint, verb, state)) in steps.into_iter().enumerate() {
        let End::Order(order) = &shoppers[index].end else {
            bail!("{} has no order", shoppers[index].buyer.username);
        };
        let service = fleet.function(function);
        let before = service.life().aborted;
        service.arm(failpoint, 1).await?;
        let request = Request::post(format!("/orders/{}/{verb}", order.order_id));
        let request = if verb == "pay" {
            request.json(&json!({ "method": "test-approve" }))
        } else {
            request
        };
        let answer = shop.ask(&shoppers[index].buyer, request.clone()).await?;
        ensure!(
            service.life().aborted > before,
            "{failpoint}: it did not die"
        );
        let view: OrderView = answer.success(failpoint)?.json()?;
        ensure!(view.state == state, "{failpoint}: it is {}", view.state);
        // I6: what has won stays.
        let other = if verb == "pay" { "cancel" } else { "pay" };
        let other = Request::post(format!("/orders/{}/{other}", order.order_id));
        let other = other.json(&json!({ "method": "test-approve" }));
        let refused = shop.ask(&shoppers[index].buyer, other).await?;
        ensure!(!refused.status.is_success(), "I6: {failpoint}: both win");
    }
    until("the units of both are free", async || {
        Ok(rest(&shop).await?.store.free == 4)
    })
    .await?;
    sleep(FLAG).await;
    shoppers.extend(shop.crowd(6, 4, Duration::from_millis(200)).ends().await);
    all_is_well(&shop, &shoppers).await.map(drop)
}

/// Raised, lowered, paused and made: each is finished by the sweeper when the function dies between store and Redis.
pub async fn fault_20_changes_of_a_sale_are_killed_half_way(
    fleet: &Fleet,
    _form: Form,
) -> anyhow::Result<()> {
    for (failpoint, stock) in [
        ("admin-spikes.changed", 8),
        ("admin-spikes.configured", 8),
        ("sale.taken-by-the-house", 3),
    ] {
        let mut shop = Shop::open(fleet, Terms::units(5)).await?;
        let wanted = if stock > 5 { 5 } else { 1 };
        let mut shoppers = shop.crowd(0, wanted, Duration::ZERO).ends().await;
        rest(&shop).await?;
        change_and_die(&shop, failpoint, Some(stock)).await?;
        until("the sweeper finishes the change", async || {
            let stats = shop.stats().await?;
            let live = stats.store.free + stats.store.held;
            let shown = stats.redis.map_or(0, |redis| redis.free);
            Ok(live == u64::from(stock) && shown == stats.store.free)
        })
        .await
        .context(failpoint)?;
        sleep(FLAG).await;
        let more = shop.crowd(20, 10, Duration::from_millis(300));
        shoppers.extend(more.ends().await);
        shop.terms.units = stock;
        let found = audit(&shop, &shoppers, stock.max(5), Allowed::Nothing).await;
        crate::audit::sold_out(&shop, &found.context(failpoint)?).context(failpoint)?;
    }
    paused_and_made(fleet).await?;
    deleted(fleet).await
}

/// Nobody knows it any more, although Redis still has it.
async fn deleted(fleet: &Fleet) -> anyhow::Result<()> {
    let terms = Terms {
        opens_in: Duration::from_secs(2),
        ..Terms::units(5)
    };
    let shop = Shop::open(fleet, terms).await?;
    let service = fleet.function("admin-spikes");
    let before = service.life().aborted;
    service.arm("admin-spikes.deleted", 1).await?;
    let path = format!("/admin/spikes/{}", shop.spike_id);
    let delete = reqwest::Client::new()
        .delete(format!("{}{path}", fleet.base_url))
        .header(header::AUTHORIZATION, &fleet.admin_bearer)
        .header(header::IF_MATCH, "\"1\"");
    let answer = delete.send().await;
    let is_done = answer.is_ok_and(|answer| answer.status().is_success());
    ensure!(!is_done, "a process that died has answered");
    service.died(before).await?;
    let shown = shop.admin(Request::get(path)).await?;
    ensure!(shown.status.as_u16() == 404, "it is {}", shown.outcome());
    let key = format!("spike:{{{}}}:sale", shop.spike_id);
    let state = async || {
        let redis = fleet.redis.lock().await;
        redis
            .command::<Option<String>>(&["HGET", &key, "state"])
            .await
    };
    let left = state().await?;
    ensure!(left.as_deref() == Some("paused"), "in Redis it is {left:?}");
    sleep(terms.opens_in).await;
    let token = Request::post(format!("/spikes/{}/token", shop.spike_id));
    let token = shop.ask(&fleet.buyers[0], token).await?;
    if token.status.as_u16() == 200 {
        let bought = settle(&fleet.client, &shop.order(0).await?).await?;
        let refused = ["409 paused", "404 no-spike"].contains(&bought.outcome().as_str());
        ensure!(refused, "a deleted spike: {}", bought.outcome());
    } else {
        ensure!(token.status.as_u16() == 404, "{}", token.outcome());
    }
    let left = state().await?;
    ensure!(left.as_deref() != Some("open"), "it has come back to Redis");
    Ok(())
}

async fn paused_and_made(fleet: &Fleet) -> anyhow::Result<()> {
    let shop = Shop::open(fleet, Terms::units(60)).await?;
    change_and_die(&shop, "admin-spikes.turned", None).await?;
    // Who has an order is answered with it, paused or not, so that each try is a new buyer's.
    let mut buyer = 0;
    until("the sweeper pauses the sale", async || {
        let order = shop.order(buyer).await?;
        buyer += 1;
        Ok(fleet.client.send(&order).await?.outcome() == "409 paused")
    })
    .await?;
    let resume = Request::post(format!("/admin/spikes/{}/resume", shop.spike_id));
    shop.admin(resume).await?.success("resume")?;
    // Who got something before the pause is among these, and is answered with it again.
    let shoppers = shop.crowd(0, 80, Duration::from_millis(300)).ends().await;
    all_is_well(&shop, &shoppers).await?;

    // The first try makes a spike that Redis does not have; the second makes another.
    let service = fleet.function("admin-spikes");
    let before = service.life().aborted;
    service.arm("admin-spikes.added", 1).await?;
    let shop = Shop::open(fleet, Terms::units(5)).await?;
    service.died(before).await?;
    let shoppers = shop.crowd(0, 8, Duration::from_millis(300)).ends().await;
    all_is_well(&shop, &shoppers).await.map(drop)
}

/// Whether no function has answered: the connection was closed, or nginx says that what is behind it is away.
fn is_unanswered(answer: &anyhow::Result<Answer>) -> bool {
    match answer {
        Ok(answer) => answer.outcome() == "503 unavailable",
        Err(_) => true,
    }
}

/// Sends one change, to another stock or else a pause, which is never answered.
async fn change_and_die(
    shop: &Shop<'_>,
    failpoint: &str,
    stock: Option<u32>,
) -> anyhow::Result<()> {
    let fleet = shop.fleet;
    let service = fleet.function("admin-spikes");
    let before = service.life().aborted;
    service.arm(failpoint, 1).await?;
    let unanswered = if let Some(stock) = stock {
        put_stock(shop, stock).await.is_err()
    } else {
        let pause = Request::post(format!("/admin/spikes/{}/pause", shop.spike_id));
        let pause = pause.bearer(&fleet.admin_bearer);
        is_unanswered(&fleet.client.send(&pause).await)
    };
    ensure!(unanswered, "{failpoint}: it has answered");
    service.died(before).await.context(failpoint.to_owned())
}

/// Replaces the stock, once.
async fn put_stock(shop: &Shop<'_>, stock: u32) -> anyhow::Result<()> {
    let path = format!("/admin/spikes/{}", shop.spike_id);
    let read = shop.admin(Request::get(path.as_str())).await?;
    let etag = read.headers.get(header::ETAG).cloned().context("no ETag")?;
    let was: Value = read.success("the spike")?.json()?;
    let mut settings = serde_json::Map::new();
    for name in SETTINGS {
        settings.insert(name.to_owned(), was[name].clone());
    }
    settings.insert("stock".to_owned(), json!(stock));
    let request = reqwest::Client::new()
        .put(format!("{}{path}", shop.fleet.base_url))
        .header(header::AUTHORIZATION, &shop.fleet.admin_bearer)
        .header(header::IF_MATCH, etag)
        .json(&settings);
    let answer = request.send().await?;
    ensure!(
        answer.status().is_success(),
        "PUT: {}",
        answer.text().await?
    );
    Ok(())
}

/// Asks until it is so.
pub async fn until(
    what: &str,
    mut is: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let until = Instant::now() + DEADLINE;
    while !is().await? {
        ensure!(Instant::now() < until, "it never came about: {what}");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
