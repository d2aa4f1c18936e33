//! Orders that are cancelled, and the new buyers who come for their units.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, stream};
use tokio::time::{Instant, sleep};

use super::{Audit, CONCURRENCY, Check};
use crate::{
    api::OrderView,
    buyer::{Bought, End},
    client::Request,
    users::Buyer,
};

/// How many orders are cancelled.
const CANCELLED: usize = 10;
/// How many new buyers come beyond those who can get something: that they get nothing is half of the check.
const BEYOND: usize = 20;
/// No more new buyers come than this, however many units are left.
const LATECOMERS_MAX: usize = 1000;

/// Longer than a function may remember that all is sold.
const FLAG: Duration = Duration::from_millis(1200);

/// How many new buyers are needed after a race of so many buyers for so many units.
#[must_use]
pub fn latecomers(buyers: usize, units: u32, quantity: u32) -> usize {
    let orders = usize::try_from(units / quantity).unwrap_or(usize::MAX);
    let left = orders.saturating_sub(buyers);
    left.saturating_add(CANCELLED + BEYOND).min(LATECOMERS_MAX)
}

impl Audit<'_> {
    /// Cancels some orders and lets more new buyers come than there are units. Answers also with all live orders.
    pub(super) async fn given_back_and_bought_again(
        &self,
        winners: &[(&Buyer, &Bought)],
    ) -> (Check, Vec<OrderView>) {
        let (giving_back, keeping) = winners.split_at(CANCELLED.min(winners.len()));
        let mut live: Vec<OrderView> = keeping.iter().map(|(_, it)| it.order.clone()).collect();
        let mut failures = Vec::new();
        let left = match self.admin.stats(self.sale.spike_id).await {
            Ok(stats) => stats.store.free,
            Err(error) => {
                failures.push(format!("{error:#}"));
                0
            }
        };
        for (buyer, bought) in giving_back {
            if let Err(error) = self.cancel(buyer, bought).await {
                failures.push(format!("{error:#}"));
                live.push(bought.order.clone());
            }
        }
        let cancelled = winners.len() - live.len();
        let (quantity, given_back) = (u64::from(self.sale.quantity), cancelled as u64);
        let orders = (left + quantity * given_back) / quantity;
        let orders = usize::try_from(orders).unwrap_or(usize::MAX);
        let expected = orders.min(self.latecomers.len());
        let resold = self.latecomers_orders(expected, &mut failures).await;
        let bought = resold.len();
        live.extend(resold);
        let no_more = if orders < self.latecomers.len() {
            ", and no more,"
        } else {
            // All may have one.
            " (no more were asked for)"
        };
        let failed = match failures.first() {
            Some(first) => format!("; {} failures, such as {first}", failures.len()),
            None => String::new(),
        };
        let check = Check::new(
            format!(
                "after {} cancellations their units{no_more} can be bought",
                giving_back.len()
            ),
            failures.is_empty() && bought == expected,
            format!("{cancelled} cancelled, {bought} bought again of {expected}{failed}"),
        );
        (check, live)
    }

    async fn cancel(&self, buyer: &Buyer, bought: &Bought) -> anyhow::Result<()> {
        let request = Request::post(format!("/orders/{}/cancel", bought.order.order_id));
        let answer = self.ask(buyer, request).await?;
        let order: OrderView = answer.success("a cancellation")?.json()?;
        anyhow::ensure!(
            order.state == "cancelled",
            "a cancelled order is {}",
            order.state
        );
        Ok(())
    }

    /// The orders that the latecomers get. They come again and again until `expected` have one, then once more.
    async fn latecomers_orders(
        &self,
        expected: usize,
        failures: &mut Vec<String>,
    ) -> Vec<OrderView> {
        let until = Instant::now() + self.rest;
        let mut orders: BTreeMap<usize, OrderView> = BTreeMap::new();
        let failed_before = failures.len();
        loop {
            let last_round = orders.len() >= expected || Instant::now() > until;
            let rest = self.latecomers.iter().enumerate();
            let rest: Vec<_> = rest
                .filter(|(index, _)| !orders.contains_key(index))
                .collect();
            let ends = stream::iter(rest).map(async |(index, buyer)| {
                let end = self.sale.buy(buyer, Instant::now()).await;
                (index, end)
            });
            let ends: Vec<(usize, End)> = ends.buffer_unordered(CONCURRENCY).collect().await;
            for (index, end) in ends {
                match end {
                    End::Bought(bought) => {
                        orders.insert(index, bought.order);
                    }
                    End::Refused(_) => {}
                    End::Failed(reason) => failures.push(reason),
                }
            }
            if last_round || failures.len() > failed_before {
                return orders.into_values().collect();
            }
            sleep(FLAG).await;
        }
    }
}
