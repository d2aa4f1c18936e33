//! Placing orders: the write that decides who has which unit.
//!
//! One transaction writes the order, the claim on its buyer's place and the claims on its units, each only where nothing
//! is. A refusal brings the items that are there, so the true holders are known without another read.
//!
//! Orders that come together are first tried as one transaction, which an engine commits at little more than the price of
//! one. If that is cancelled, for whatever reason, each goes alone and gets an answer of its own: neighbours are not
//! harmed.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::Order;
use futures::{StreamExt, stream};

use super::{
    DynamoStore,
    call::{Failure, Reason, all_decided},
    claims::{self, read_holder},
    item::{Item, Row},
    orders,
    request::put_if_absent,
    tables::{CLAIMS, ORDERS},
};
use crate::{Claim, Error, Placement};

/// How many items one transaction may have.
const TRANSACTION: usize = 100;
/// How many transactions of one call are under way at once.
const AT_ONCE: usize = 8;

type Answer = Result<Placement, Error>;

/// An order and its items, in the order in which reasons are read: itself, its buyer's place, its units.
struct Writing<'a> {
    order: &'a Order,
    items: Vec<(&'static str, Item)>,
}

impl<'a> Writing<'a> {
    fn new(order: &'a Order) -> Result<Self, Error> {
        let mut items = vec![(ORDERS, orders::write(order)?)];
        items.extend(claims::of_order(order).map(|claim| (CLAIMS, claim)));
        Ok(Self { order, items })
    }

    fn puts(&self) -> Result<Vec<TransactWriteItem>, Error> {
        self.items
            .iter()
            .map(|(table, item)| put_if_absent(table, item.clone()))
            .collect()
    }

    /// The keys that no other order of the same transaction may have. They are unique across the two tables.
    fn keys(&self) -> impl Iterator<Item = String> + '_ {
        self.items
            .iter()
            .filter_map(|(_, item)| item.get("id")?.as_s().ok().cloned())
    }
}

/// Divides orders into transactions: few enough items, and none twice. Their sequence stays.
fn divide<'a>(writings: Vec<Writing<'a>>) -> Vec<Vec<Writing<'a>>> {
    let mut batches: Vec<Vec<Writing<'a>>> = Vec::new();
    let (mut keys, mut size) = (HashSet::new(), TRANSACTION);
    for writing in writings {
        size += writing.items.len();
        if size > TRANSACTION || writing.keys().any(|key| keys.contains(&key)) {
            batches.push(Vec::new());
            keys.clear();
            size = writing.items.len();
        }
        keys.extend(writing.keys());
        if let Some(batch) = batches.last_mut() {
            batch.push(writing);
        }
    }
    batches
}

/// Reads why an order was refused. The order itself comes first: once there it stays there, so that is known whatever
/// else is in conflict. Everything after it counts only if all reasons are known.
fn weigh(order: &Order, reasons: Vec<Reason>) -> Option<Answer> {
    let decided = all_decided(&reasons);
    let mut found = reasons.into_iter().map(|reason| match reason {
        Reason::Failed(item) => Some(item.unwrap_or_default()),
        Reason::Fine | Reason::Undecided => None,
    });
    if let Some(item) = found.next().flatten() {
        return Some(orders::read_boxed(&Row::new(ORDERS, item)).map(Placement::Exists));
    }
    if !decided {
        return None;
    }
    if let Some(place) = found.next().flatten() {
        return Some(
            Row::new(CLAIMS, place)
                .word("order_id")
                .map(Placement::BuyerHas),
        );
    }
    let taken = order.units.iter().zip(found).filter_map(|(unit, item)| {
        let holder = read_holder(&Row::new(CLAIMS, item?));
        Some(holder.map(|holder| Claim { unit, holder }))
    });
    let taken: Result<Vec<Claim>, Error> = taken.collect();
    // A cancellation without any reason is none that could be answered with.
    let names_any = taken.as_ref().map_or(true, |taken| !taken.is_empty());
    names_any.then(|| taken.map(Placement::UnitsTaken))
}

impl DynamoStore {
    /// [`crate::Orders::place`].
    pub(super) async fn place_all(&self, orders: &[Order]) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = Vec::with_capacity(orders.len());
        let mut writings = Vec::with_capacity(orders.len());
        for order in orders {
            match Writing::new(order) {
                Ok(writing) => {
                    writings.push(writing);
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        let batches = divide(writings).into_iter();
        let batches: Vec<_> = batches.map(|batch| self.place_batch(batch)).collect();
        let batches = stream::iter(batches).buffered(AT_ONCE);
        let written: Vec<Vec<Answer>> = batches.collect().await;
        let mut written = written.into_iter().flatten();
        let answers = answers
            .into_iter()
            .filter_map(|answer| answer.or_else(|| written.next()));
        answers.collect()
    }

    /// Places orders that have no item in common, together if that goes.
    async fn place_batch(&self, batch: Vec<Writing<'_>>) -> Vec<Answer> {
        if batch.len() > 1 {
            match self.place_together(&batch).await {
                Ok(true) => return batch.iter().map(|_| Ok(Placement::Written)).collect(),
                // The engine is away: asking once for each order would only take longer.
                Err(Error::Unavailable(error)) => {
                    return batch
                        .iter()
                        .map(|_| Err(Error::Unavailable(error.to_string().into())))
                        .collect();
                }
                Ok(false) | Err(_) => {}
            }
        }
        let alone: Vec<_> = batch
            .iter()
            .map(|writing| self.place_alone(writing))
            .collect();
        stream::iter(alone).buffered(AT_ONCE).collect().await
    }

    /// Whether one transaction wrote all of them. Why it was cancelled is left to the orders' own transactions; and what is
    /// too much for an engine at once, or for one item among many, may go in parts.
    async fn place_together(&self, batch: &[Writing<'_>]) -> Result<bool, Error> {
        let puts: Vec<Vec<_>> = batch.iter().map(Writing::puts).collect::<Result<_, _>>()?;
        let puts = puts.into_iter().flatten().collect();
        match self.try_transact(puts, |_| Some(Ok(()))).await {
            Ok(cancelled) => Ok(cancelled.is_none()),
            Err(Failure::Throttled(_)) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn place_alone(&self, writing: &Writing<'_>) -> Answer {
        let refused = self
            .transact(writing.puts()?, |reasons| weigh(writing.order, reasons))
            .await?;
        Ok(refused.unwrap_or(Placement::Written))
    }
}
