//! A broker that is silent, away, too eager, or has poison in it.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::{OrderId, OrderPlaced, SpikeId, UserId};
use events::envelope;
use race::{
    api::OrderView,
    client::{Client, Request},
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{FLAG, Form, all_is_well, functions::until};
use crate::{
    audit::rest,
    fleet::Fleet,
    shop::{End, Shop, Terms},
    tap::{Answer, Mode},
};

/// Who publishes: `spike` and two sweepers, each with a breaker of its own.
const SENDERS: u64 = 3;
/// How often an open breaker lets one event through.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// How many events a sender may have under way when its breaker opens.
const AT_ONCE: u64 = 16;
/// A buyer who is in no crowd.
const LAST: usize = 390;
/// How many wait for a refusal, one after the other.
const SAMPLE: u32 = 10;

/// Nobody knows whether the broker has the event: once it has, once it has not.
pub async fn fault_03_the_broker_is_silent(fleet: &Fleet, form: Form) -> anyhow::Result<()> {
    for mode in [Mode::Silent, Mode::Lost] {
        away_for(fleet, mode, form.pick(2, 20)).await?;
    }
    Ok(())
}

/// Buyers are told to come again; what they have reserved is theirs. Once a sender has noticed, the broker is asked no more
/// than twice a second by each.
pub async fn fault_04_the_broker_refuses(fleet: &Fleet, form: Form) -> anyhow::Result<()> {
    for mode in [Mode::Refuse, Mode::HangUp] {
        away_for(fleet, mode, form.pick(3, 60)).await?;
    }
    Ok(())
}

async fn away_for(fleet: &Fleet, mode: Mode, secs: u64) -> anyhow::Result<()> {
    fleet.events.set(mode);
    let shop = Shop::open(fleet, Terms::units(20)).await?;
    let reserved = told_to_come_again(&shop, mode).await?;
    let crowd = shop.crowd(0, 30, Duration::from_secs(1));
    sleep(Duration::from_secs(1)).await;
    let (sent, _) = fleet.events.counts();
    // Of those who find nobody, nobody knows.
    ensure!(sent > 0 || mode == Mode::Refuse, "nothing was published");
    fleet.events.set(mode);
    let open_at = Instant::now();
    sleep(Duration::from_secs(secs)).await;
    let mut refused = None;
    if mode != Mode::Silent {
        refused = Some(refused_at_once(fleet, mode).await?);
        let pending = shop.stats().await?.redis.map_or(0, |redis| redis.pending);
        ensure!(pending > 0, "I8: nothing is kept while the broker is away");
        let (sent, _) = fleet.events.counts();
        let probes = open_at.elapsed().as_millis() / PROBE_EVERY.as_millis() + 1;
        let most = SENDERS * (u64::try_from(probes)? + AT_ONCE);
        ensure!(sent <= most, "asked {sent} times, and {most} are enough");
    }
    fleet.events.set(Mode::Pass);
    let mut shoppers = crowd.ends().await;
    let shopper = shop.goes_on(LAST).await?;
    ensure!(shopper.accepted == [reserved], "I8: not what was reserved");
    shoppers.push(shopper);
    all_is_well(&shop, &shoppers).await?;
    if let Some(shop) = refused {
        let shoppers = shop.crowd(0, SAMPLE, Duration::ZERO).ends().await;
        all_is_well(&shop, &shoppers).await?;
    }
    Ok(())
}

/// Measures how long those wait who order while the breaker is open, one after the other; where they do.
async fn refused_at_once(fleet: &Fleet, mode: Mode) -> anyhow::Result<Shop<'_>> {
    let shop = Shop::open(fleet, Terms::units(SAMPLE)).await?;
    let mut waits = Vec::new();
    for buyer in 0..SAMPLE {
        let order = shop.order(usize::try_from(buyer)?).await?;
        let sent_at = Instant::now();
        let answer = fleet.client.send(&order).await?;
        if answer.outcome() == "503 unconfirmed" {
            waits.push(sent_at.elapsed().as_millis());
        }
    }
    waits.sort_unstable();
    let (Some(median), Some(most)) = (waits.get(waits.len() / 2), waits.last()) else {
        bail!("{mode:?}: nobody was told at once to come again");
    };
    let refused = waits.len();
    // Past the harness, which keeps what a test prints to itself.
    let line = format!(
        "{mode:?}: {refused} of {SAMPLE} orders refused behind an open breaker, in {median} ms (median), {most} ms (most)\n"
    );
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes())?;
    Ok(shop)
}

/// The first who buys is answered 503, and may see the reservation.
async fn told_to_come_again(shop: &Shop<'_>, mode: Mode) -> anyhow::Result<OrderId> {
    let order = shop.order(LAST).await?;
    let mut answer = shop.fleet.client.send(&order).await?;
    // On a busy machine Redis may be late; that is another's row.
    while answer.outcome() == "503 unavailable" {
        sleep(Duration::from_secs(1)).await;
        answer = shop.fleet.client.send(&order).await?;
    }
    let (outcome, wait) = (answer.outcome(), answer.retry_after());
    ensure!(
        outcome == "503 unconfirmed" && wait.is_some(),
        "{mode:?}: {outcome}, Retry-After {wait:?}"
    );
    let view: OrderView = shop.mine(LAST).await?.success("Location")?.json()?;
    ensure!(
        mode == Mode::Silent || !view.is_durable(),
        "{mode:?}: it is {}",
        view.state
    );
    Ok(view.order_id)
}

/// Each at once, and one a day later, when its order was cancelled and its unit is another's.
pub async fn fault_05_every_event_comes_ten_times(
    fleet: &Fleet,
    _form: Form,
) -> anyhow::Result<()> {
    fleet.events.set(Mode::Repeat(10));
    let shop = Shop::open(fleet, Terms::pairs(20)).await?;
    let mut shoppers = shop.crowd(0, 30, Duration::from_secs(1)).ends().await;
    all_is_well(&shop, &shoppers).await?;
    let with_order = shoppers.iter().find_map(|shopper| match &shopper.end {
        End::Order(order) => Some((shopper.buyer.clone(), order.clone())),
        End::Refused | End::Failed(_) => None,
    });
    let (buyer, order) = with_order.context("nobody has an order")?;
    let cancel = Request::post(format!("/orders/{}/cancel", order.order_id));
    shop.ask(&buyer, cancel).await?.success("a cancellation")?;
    rest(&shop).await?;
    sleep(FLAG).await;
    shoppers.extend(shop.crowd(50, 2, Duration::ZERO).ends().await);
    all_is_well(&shop, &shoppers).await?;
    let token = buyer.bearer.to_str()?.trim_start_matches("Bearer ");
    let event = OrderPlaced {
        order_id: order.order_id,
        spike_id: shop.spike_id,
        user_id: auth::unverified_subject(token).context("no subject")?,
        units: order.units,
    };
    let broker = broker(fleet)?;
    let late = Request::post("/").body(envelope::CONTENT_TYPE, envelope::write(&event));
    fleet.deliveries.set(Mode::Pass);
    broker.send(&late).await?.success("the broker")?;
    until("all ten late copies are dealt with", async || {
        Ok(fleet.deliveries.answered() >= 10)
    })
    .await?;
    all_is_well(&shop, &shoppers).await?;
    let path = format!("/orders/{}", order.order_id);
    let now: Value = shop.ask(&buyer, Request::get(path)).await?.json()?;
    ensure!(now["state"] == "cancelled", "I7: revived: {now}");
    Ok(())
}

fn broker(fleet: &Fleet) -> anyhow::Result<Client> {
    Client::new(&format!("http://127.0.0.1:{}", fleet.events.port), 4)
}

/// Each ends in the dead letters, alone.
pub async fn fault_07_poison_among_good_events(fleet: &Fleet, _form: Form) -> anyhow::Result<()> {
    let before = dead_letters(fleet).await?.len();
    let shop = Shop::open(fleet, Terms::units(20)).await?;
    let crowd = shop.crowd(0, 30, Duration::from_secs(1));
    let broker = broker(fleet)?;
    let now = runtime::clock::system()().as_millis();
    let attributes = format!(
        r#""specversion":"1.0","id":"{now}","source":"/spikes/{}""#,
        shop.spike_id
    );
    let big = "x".repeat(300_000);
    let poison = [
        format!(r#"{{"specversion": {now}"#),
        format!(r#"{{{attributes},"type":"spike.order.placed.v9","data":{{}}}}"#),
        format!(r#"{{{attributes},"type":"spike.order.placed.v1","data":{{}}}}"#),
        format!(r#"{{{attributes},"type":"spike.order.placed.v1","data":"{big}"}}"#),
    ];
    let due = before + poison.len();
    for event in poison {
        let event = Request::post("/").body(envelope::CONTENT_TYPE, event);
        broker.send(&event).await?.success("the broker")?;
    }
    let shoppers = crowd.ends().await;
    all_is_well(&shop, &shoppers).await?;
    until("all poison is a dead letter", async || {
        Ok(dead_letters(fleet).await?.len() == due)
    })
    .await?;
    sent_again_by_who_dies(fleet, &shop).await
}

/// An event of a spike that nobody knows is sent again by somebody who dies before it is noted, and once more: it is one
/// letter, whatever comes back.
async fn sent_again_by_who_dies(fleet: &Fleet, shop: &Shop<'_>) -> anyhow::Result<()> {
    let now = runtime::clock::system()();
    let event = OrderPlaced {
        order_id: OrderId::mint(now, rand::random()),
        spike_id: SpikeId::mint(now, rand::random()),
        user_id: UserId::mint(now, rand::random()),
        units: [1].into_iter().collect(),
    };
    let sent = Request::post("/").body(envelope::CONTENT_TYPE, envelope::write(&event));
    broker(fleet)?.send(&sent).await?.success("the broker")?;
    let order_id = event.order_id.to_string();
    let letters = async || {
        let letters = dead_letters(fleet).await?;
        let ours = letters.into_iter().filter(|letter| {
            let body = letter["body"].as_str().unwrap_or_default();
            body.contains(&order_id)
        });
        anyhow::Ok(ours.collect::<Vec<Value>>())
    };
    until("it is a dead letter", async || {
        Ok(letters().await?.len() == 1)
    })
    .await?;
    let id = letters().await?[0]["id"].clone();
    let id = id.as_str().context("no id")?;
    let redrive = Request::post(format!("/admin/dead-letters/{id}/redrive"));
    let service = fleet.function("dead-letter");
    let before = service.life().aborted;
    service.arm("dead-letter.sent", 1).await?;
    let again = shop.admin(redrive).await?;
    ensure!(service.life().aborted > before, "it did not die");
    ensure!(
        again.status.as_u16() == 202,
        "sent again: {}",
        again.outcome()
    );
    until("it has come back as the one letter", async || {
        let letters = letters().await?;
        Ok(letters.len() == 1 && letters[0]["redriven_at"].is_null())
    })
    .await
}

/// All that there are.
pub async fn dead_letters(fleet: &Fleet) -> anyhow::Result<Vec<Value>> {
    let mut path = "/admin/dead-letters".to_owned();
    let mut found = Vec::new();
    loop {
        let request = Request::get(path).bearer(&fleet.admin_bearer);
        let page = crate::shop::settle(&fleet.client, &request).await?;
        let mut page: Value = page.success("the dead letters")?.json()?;
        if let Value::Array(letters) = page["dead_letters"].take() {
            found.extend(letters);
        }
        match page["next"].as_str() {
            Some(cursor) => path = format!("/admin/dead-letters?cursor={cursor}"),
            None => return Ok(found),
        }
    }
}

/// Three come again, the other seven do not have to.
pub async fn fault_08_three_of_ten_deliveries_are_refused(
    fleet: &Fleet,
    _form: Form,
) -> anyhow::Result<()> {
    // The sweeper sends what is pending for five seconds once more, on a machine that is so slow; then it is tried again.
    for _ in 0..5 {
        let shop = Shop::open(fleet, Terms::units(10)).await?;
        fleet.deliveries.set(Mode::First(3, Answer::Unavailable));
        let begun_at = Instant::now();
        let shoppers = shop.crowd(0, 12, Duration::ZERO).ends().await;
        all_is_well(&shop, &shoppers).await?;
        let counts = fleet.deliveries.counts();
        if counts == (13, 3) {
            return Ok(());
        }
        if begun_at.elapsed() < Duration::from_secs(4) {
            bail!("{counts:?} deliveries, and refused ones, where (13, 3) was due");
        }
    }
    bail!("the machine is too slow to tell")
}
