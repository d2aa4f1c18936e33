//! Whether a sale kept its promises, asked from outside once nothing is under way any more.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail};
use domain::{OrderId, Units};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use race::{
    api::{OrderView, OrdersPage, Stats},
    client::Request,
};
use tokio::time::{Instant, sleep};

use crate::shop::{End, Shop, Shopper};

/// How long the system may take to come to rest.
const REST: Duration = Duration::from_secs(90);
const CONCURRENCY: usize = 16;

/// What a fault may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Nothing: every 202 is the one order of its buyer, and it got its units.
    Nothing,
    /// Redis lost data: an order may be `rejected`, and a buyer may have been promised a second one. No more than that.
    Rejections,
}

/// What was found to be true.
#[derive(Debug)]
pub struct Found {
    /// Orders that hold their units.
    pub live: Vec<OrderView>,
    /// Orders that were rejected.
    pub rejected: usize,
}

impl Found {
    /// How many units are in orders of this state.
    fn units_in(&self, state: &str) -> u64 {
        let orders = self.live.iter().filter(|order| order.state == state);
        orders.map(|order| u64::from(order.units.quantity())).sum()
    }
}

/// Checks I1 to I4, I7 and I9 of the sale; whoever came is asked for all of their orders. What the owners of live orders see
/// is what the figures say of placed and paid units, so that no order is both paid and given back (I6), and no second
/// delivery has taken a unit (I5). Cancelled and expired orders are the scenario's to expect. `top` is the highest unit that
/// there is.
pub async fn audit(
    shop: &Shop<'_>,
    shoppers: &[Shopper],
    top: u32,
    allowed: Allowed,
) -> anyhow::Result<Found> {
    everybody_has_an_end(shoppers)?;
    let stats = rest(shop).await?;
    let listed = stream::iter(shoppers).map(async |shopper| {
        let orders = orders(shop, shopper).await?;
        anyhow::Ok((shopper, orders))
    });
    let listed: Vec<_> = listed.buffer_unordered(CONCURRENCY).try_collect().await?;
    let mut holders: BTreeMap<u32, OrderId> = BTreeMap::new();
    let mut found = Found {
        live: Vec::new(),
        rejected: 0,
    };
    for (shopper, orders) in listed {
        let name = &shopper.buyer.username;
        // I3 and I7.
        for promised in &shopper.accepted {
            let kept = orders.iter().filter(|it| it.order_id == *promised).count();
            if kept != 1 {
                bail!("I3: {name} was promised {promised} and lists {kept} such orders");
            }
        }
        let (live, ended): (Vec<_>, Vec<_>) = orders.into_iter().partition(OrderView::is_live);
        let rejected = ended.iter().filter(|it| it.state == "rejected").count();
        if allowed == Allowed::Nothing && (rejected > 0 || live.len() + ended.len() > 1) {
            bail!("I3: {name} has more than the one order: {live:?} {ended:?}");
        }
        // I2.
        if live.len() > 1 {
            bail!("I2: {name} has {} live orders", live.len());
        }
        for order in ended.iter().filter(|it| it.state == "rejected") {
            let others = live.len() + ended.len() > rejected;
            match order.reason.as_deref() {
                Some("sold-out") => {}
                Some("limit") if others => {}
                reason => bail!("I3: {name}'s {} is rejected for {reason:?}", order.order_id),
            }
        }
        found.rejected += rejected;
        for order in live {
            if order.units.quantity() != shop.terms.quantity {
                bail!("I2: {name} has {} units", order.units.quantity());
            }
            // I1.
            for unit in order.units.iter() {
                if unit > top {
                    bail!("I1: unit {unit} is above {top}");
                }
                if let Some(other) = holders.insert(unit, order.order_id) {
                    bail!("I1: unit {unit} is in {other} and in {}", order.order_id);
                }
            }
            found.live.push(order);
        }
    }
    let held = holders.len() as u64;
    if stats.store.held != held {
        bail!("I1: the store holds {}, orders {held}", stats.store.held);
    }
    let seen = ["placed", "paid"].map(|state| found.units_in(state));
    let counted = [stats.balance.placed, stats.balance.paid];
    if seen != counted {
        bail!("I6: buyers see {seen:?} placed and paid units, the figures {counted:?}");
    }
    strangers_learn_nothing(shop, shoppers, &found).await?;
    Ok(found)
}

/// That nothing went unsold: every unit is in an order, as there were buyers enough.
pub fn sold_out(shop: &Shop<'_>, found: &Found) -> anyhow::Result<()> {
    let units: Units = found.live.iter().flat_map(|it| it.units.iter()).collect();
    let wanted = shop.terms.units;
    if units.quantity() != wanted {
        bail!("undersold: {} of {wanted} units", units.quantity());
    }
    Ok(())
}

fn everybody_has_an_end(shoppers: &[Shopper]) -> anyhow::Result<()> {
    let failed = shoppers.iter().filter_map(|shopper| match &shopper.end {
        End::Failed(reason) => Some(reason),
        End::Order(_) | End::Refused => None,
    });
    let failed: Vec<&String> = failed.collect();
    match failed.first() {
        Some(first) => bail!("{} got no end, such as {first}", failed.len()),
        None => Ok(()),
    }
}

/// I4: waits until nothing is under way, Redis and the store agree about what is free, every unit is in one place, and Redis
/// has the mark of a buyer for each live order and no other.
pub async fn rest(shop: &Shop<'_>) -> anyhow::Result<Stats> {
    let until = Instant::now() + REST;
    loop {
        let stats = shop.stats().await?;
        let agreed = stats.redis.as_ref().is_some_and(|redis| {
            redis.free == stats.store.free
                && stats.free_differs == Some(0)
                && redis.buyers * u64::from(shop.terms.quantity) == stats.store.held
        });
        if agreed && stats.is_quiet() {
            return Ok(stats);
        }
        if Instant::now() > until {
            bail!("I4: it does not come to rest: {stats:?}");
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// All orders of this sale in the buyer's list.
async fn orders(shop: &Shop<'_>, shopper: &Shopper) -> anyhow::Result<Vec<OrderView>> {
    let mut found = Vec::new();
    let mut path = "/orders".to_owned();
    loop {
        let answer = shop.ask(&shopper.buyer, Request::get(path)).await?;
        let page: OrdersPage = answer.success("GET /orders")?.json()?;
        let ours = page.orders.into_iter();
        found.extend(ours.filter(|order| order.spike_id == Some(shop.spike_id)));
        match page.next {
            Some(cursor) => path = format!("/orders?cursor={cursor}"),
            None => return Ok(found),
        }
    }
}

/// I9: without a token, with a forged one, and as somebody else.
async fn strangers_learn_nothing(
    shop: &Shop<'_>,
    shoppers: &[Shopper],
    found: &Found,
) -> anyhow::Result<()> {
    let Some(order) = found.live.first() else {
        return Ok(());
    };
    let path = format!("/orders/{}", order.order_id);
    let is_owner = |shopper: &&Shopper| match &shopper.end {
        End::Order(own) => own.order_id == order.order_id,
        End::Refused | End::Failed(_) => shopper.accepted.contains(&order.order_id),
    };
    let stranger = shoppers.iter().find(|shopper| !is_owner(shopper));
    let stranger = &stranger.context("there is nobody else")?.buyer;
    let forged = race::api::bearer("eyJhbGciOiJub25lIn0.e30.")?;
    let client = &shop.fleet.client;
    let cancel = Request::post(format!("{path}/cancel"));
    let admin = format!("/admin/spikes/{}/pause", shop.spike_id);
    let tries = [
        (Request::get(path.as_str()), 401),
        (Request::get(path.as_str()).bearer(&forged), 401),
        (Request::get(path.as_str()).bearer(&stranger.bearer), 404),
        (cancel.bearer(&stranger.bearer), 404),
        (Request::post(admin).bearer(&stranger.bearer), 403),
    ];
    for (request, due) in tries {
        let answer = crate::shop::settle(client, &request).await?;
        if answer.status.as_u16() != due {
            bail!("I9: {} where {due} was due", answer.outcome());
        }
    }
    Ok(())
}
