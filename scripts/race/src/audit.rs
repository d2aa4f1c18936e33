//! Whether the sale kept its promises: each check is one line of the report.

mod given_back;

use std::{collections::BTreeSet, time::Duration};

use domain::{OrderId, Units};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    admin::Admin,
    api::{Accepted, OrderView, OrdersPage, PathToken, Stats},
    buyer::{Bought, End, Sale},
    client::{Answer, Request},
    funnel::{Funnel, Step},
    patience::Patience,
    users::Buyer,
};

pub use given_back::latecomers;

/// How many requests of the audit are under way at a time.
const CONCURRENCY: usize = 32;
/// How many of those who were refused are asked whether they have an order.
const REFUSED_ASKED: usize = 200;
/// How long the system may take to come to rest, and to sell what was given back.
pub const REST: Duration = Duration::from_secs(20);

/// A promise, and whether it was kept.
#[derive(Debug, Clone)]
pub struct Check {
    /// The promise.
    pub promise: String,
    /// Whether it was kept.
    pub kept: bool,
    /// What was found.
    pub found: String,
}

impl Check {
    fn new(promise: impl Into<String>, kept: bool, found: impl Into<String>) -> Self {
        Self {
            promise: promise.into(),
            kept,
            found: found.into(),
        }
    }

    /// From whether the promise was kept and what was found; a promise that cannot be looked into counts as broken.
    fn made(promise: &str, result: anyhow::Result<(bool, String)>) -> Self {
        match result {
            Ok((kept, found)) => Self::new(promise, kept, found),
            Err(error) => Self::new(promise, false, format!("cannot be told: {error:#}")),
        }
    }
}

/// A sale to be audited.
pub struct Audit<'a> {
    /// The sale.
    pub sale: &'a Sale,
    /// Who may see its figures.
    pub admin: &'a Admin<'a>,
    /// Everybody who came.
    pub buyers: &'a [Buyer],
    /// New buyers, for the units that are given back.
    pub latecomers: &'a [Buyer],
    /// How each buyer's attempt ended.
    pub ends: &'a [End],
    /// How many units there were.
    pub units: u32,
    /// How long the system may take to come to rest, and to sell what was given back: [`REST`].
    pub rest: Duration,
}

impl Audit<'_> {
    /// Makes all checks. Whatever the system answers is found by one of them and keeps none from being made.
    pub async fn run(&self, with_cancelling: bool) -> Vec<Check> {
        let winners = self.winners();
        let sold: Vec<OrderView> = winners.iter().map(|(_, it)| it.order.clone()).collect();
        let mut checks = vec![
            self.everybody_was_answered(),
            self.as_many_orders_as_units(&sold),
            no_unit_twice("no unit twice", &sold, self.units),
            Check::made(
                "one order per user",
                self.one_order_per_user(&winners).await,
            ),
            Check::made(
                "a repeated purchase gets the same order",
                self.repetition_changes_nothing(&winners).await,
            ),
        ];
        let mut live = sold;
        if with_cancelling {
            let check;
            (check, live) = self.given_back_and_bought_again(&winners).await;
            let after = no_unit_twice("no unit twice even then", &live, self.units);
            checks.extend([check, after]);
        }
        checks.extend(self.at_rest(&live).await);
        checks
    }

    fn winners(&self) -> Vec<(&Buyer, &Bought)> {
        let ends = self.buyers.iter().zip(self.ends);
        ends.filter_map(|(buyer, end)| match end {
            End::Bought(bought) => Some((buyer, bought)),
            End::Refused(_) | End::Failed(_) => None,
        })
        .collect()
    }

    fn everybody_was_answered(&self) -> Check {
        let failed = self.ends.iter().filter_map(|end| match end {
            End::Failed(reason) => Some(reason.as_str()),
            End::Bought(_) | End::Refused(_) => None,
        });
        let failed: Vec<&str> = failed.collect();
        let found = match failed.first() {
            Some(first) => format!("{} were not, such as {first}", failed.len()),
            None => format!("{} of {}", self.ends.len(), self.ends.len()),
        };
        Check::new("everybody got a final answer", failed.is_empty(), found)
    }

    fn as_many_orders_as_units(&self, orders: &[OrderView]) -> Check {
        let quantity = self.sale.quantity;
        let wanted = u32::try_from(self.buyers.len())
            .unwrap_or(u32::MAX)
            .saturating_mul(quantity);
        // Who wants two units is refused when one is left.
        let sellable = wanted.min(self.units - self.units % quantity);
        let ids: BTreeSet<OrderId> = orders.iter().map(|order| order.order_id).collect();
        let live = orders.iter().filter(|order| order.is_live());
        let units: u32 = live.map(|order| order.units.quantity()).sum();
        Check::new(
            "202s = orders = units",
            units == sellable
                && orders.len() == ids.len()
                && units == sellable_of(orders, quantity),
            format!(
                "{} accepted, {} orders, {units} of {sellable} units sold",
                orders.len(),
                ids.len()
            ),
        )
    }

    async fn one_order_per_user(
        &self,
        winners: &[(&Buyer, &Bought)],
    ) -> anyhow::Result<(bool, String)> {
        let listed = stream::iter(winners).map(async |(buyer, bought)| {
            let orders = self.orders(buyer).await?;
            let ids: Vec<OrderId> = orders.iter().map(|order| order.order_id).collect();
            anyhow::Ok(ids == [bought.order.order_id])
        });
        let listed: Vec<bool> = listed.buffer_unordered(CONCURRENCY).try_collect().await?;
        let refused = self.buyers.iter().zip(self.ends);
        let refused = refused.filter(|(_, end)| matches!(end, End::Refused(_)));
        let path = format!("/spikes/{}/order", self.sale.spike_id);
        let asked = stream::iter(refused.take(REFUSED_ASKED)).map(async |(buyer, _)| {
            let answer = self.ask(buyer, Request::get(path.as_str())).await?;
            anyhow::Ok(answer.status.as_u16() == 404)
        });
        let asked: Vec<bool> = asked.buffer_unordered(CONCURRENCY).try_collect().await?;
        let [one, none] = [&listed, &asked].map(|all| all.iter().filter(|it| **it).count());
        Ok((
            one == listed.len() && none == asked.len(),
            format!(
                "{one} of {} buyers have their one order, {none} of {} refused ones have none",
                listed.len(),
                asked.len()
            ),
        ))
    }

    async fn repetition_changes_nothing(
        &self,
        winners: &[(&Buyer, &Bought)],
    ) -> anyhow::Result<(bool, String)> {
        let again = stream::iter(winners).map(async |(buyer, bought)| {
            let answer = self.order(buyer).await?;
            let same = answer.status.as_u16() == 202
                && answer.json::<Accepted>()?.order_id == bought.order.order_id;
            anyhow::Ok(same)
        });
        let again: Vec<bool> = again.buffer_unordered(CONCURRENCY).try_collect().await?;
        let same = again.iter().filter(|it| **it).count();
        Ok((same == again.len(), format!("{same} of {}", again.len())))
    }

    /// What Redis and the store must agree about once nothing is under way.
    async fn at_rest(&self, live: &[OrderView]) -> [Check; 2] {
        let sold: u64 = live
            .iter()
            .map(|order| u64::from(order.units.quantity()))
            .sum();
        let free = u64::from(self.units).saturating_sub(sold);
        let until = Instant::now() + self.rest;
        let stats = loop {
            let stats = self.admin.stats(self.sale.spike_id).await;
            let rests = |stats: &Stats| agrees(stats, free, sold) && stats.is_quiet();
            if stats.as_ref().is_ok_and(rests) || Instant::now() > until {
                break stats;
            }
            sleep(Duration::from_millis(250)).await;
        };
        let agreement = stats.as_ref().map(|stats| {
            let redis = stats.redis.as_ref();
            let shown = redis.map_or("not loaded".to_owned(), |it| it.free.to_string());
            let differ = stats.free_differs;
            let differ = differ.map_or("nobody knows which".to_owned(), |it| it.to_string());
            let found = format!(
                "{shown} and {}, {differ} differ; {} held, {sold} sold",
                stats.store.free, stats.store.held
            );
            (agrees(stats, free, sold), found)
        });
        let pending = stats.as_ref().map(|stats| {
            let redis = stats.redis.as_ref();
            let pending = redis.map_or("not loaded".to_owned(), |it| it.pending.to_string());
            let balance = &stats.balance;
            let verb = if balance.balances { "" } else { "not " };
            let found = format!(
                "{pending} pending, {} queued, {} settling, {verb}all units accounted for",
                balance.queued, balance.settling
            );
            (stats.is_quiet(), found)
        });
        let same = |error: &anyhow::Error| anyhow::anyhow!("{error:#}");
        [
            Check::made(
                "units free in Redis = units free in the store",
                agreement.map_err(same),
            ),
            Check::made(
                "nothing is under way, and no unit is lost",
                pending.map_err(same),
            ),
        ]
    }

    /// All orders of this sale in the user's list.
    async fn orders(&self, buyer: &Buyer) -> anyhow::Result<Vec<OrderView>> {
        let mut found = Vec::new();
        let mut path = "/orders".to_owned();
        loop {
            let answer = self.ask(buyer, Request::get(path)).await?;
            let page: OrdersPage = answer.success("GET /orders")?.json()?;
            let ours = page.orders.into_iter();
            found.extend(ours.filter(|order| order.spike_id == Some(self.sale.spike_id)));
            match page.next {
                Some(cursor) => path = format!("/orders?cursor={cursor}"),
                None => return Ok(found),
            }
        }
    }

    async fn order(&self, buyer: &Buyer) -> anyhow::Result<Answer> {
        let spike = format!("/spikes/{}", self.sale.spike_id);
        let token = self
            .ask(buyer, Request::post(format!("{spike}/token")))
            .await?;
        let PathToken { token } = token.success("a path token")?.json()?;
        let order = Request::post(format!("{spike}/orders/{token}"))
            .json(&json!({ "quantity": self.sale.quantity }));
        self.ask(buyer, order).await
    }

    /// Asks until there is a final answer, outside of the funnel that is reported.
    async fn ask(&self, buyer: &Buyer, request: Request) -> anyhow::Result<Answer> {
        let now = Instant::now();
        let patience = Patience {
            client: &self.sale.client,
            funnel: &Funnel::default(),
            until: now + self.sale.patience,
        };
        let request = request.bearer(&buyer.bearer);
        patience.settle(Step::Read, &request, now).await.answer
    }
}

fn sellable_of(orders: &[OrderView], quantity: u32) -> u32 {
    u32::try_from(orders.len())
        .unwrap_or(u32::MAX)
        .saturating_mul(quantity)
}

fn no_unit_twice(promise: &str, live: &[OrderView], top: u32) -> Check {
    let units: Vec<u32> = live.iter().flat_map(|order| order.units.iter()).collect();
    let distinct: Units = units.iter().copied().collect();
    let within = distinct.iter().all(|unit| (1..=top).contains(&unit));
    let found = format!(
        "{} units, {} distinct, highest {}",
        units.len(),
        distinct.len(),
        distinct.highest()
    );
    Check::new(promise, within && units.len() == distinct.len(), found)
}

fn agrees(stats: &Stats, free: u64, sold: u64) -> bool {
    let redis_free = stats.redis.as_ref().map(|it| it.free);
    stats.free_differs == Some(0)
        && redis_free == Some(free)
        && stats.store.free == free
        && stats.store.held == sold
        && stats.balance.placed + stats.balance.paid == sold
}

#[cfg(test)]
mod tests;
