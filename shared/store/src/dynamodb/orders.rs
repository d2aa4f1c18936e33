//! Orders: their items, their reading, and every write but [`super::place`] and [`super::end`].

use async_trait::async_trait;
use domain::{
    Order, OrderId, OrderState, SpikeId, Timestamp, Unit, Units, UserId,
    order::{Payment, Refund, Transition},
};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    DynamoStore, claims,
    item::{Item, Row, flag, item, json, number, optional, readable, text, time},
    listing::{After, Listing},
    request::{Change, Changed},
    tables::{CLAIMS, ORDERS, SHARDS},
};
use crate::{
    Claim, Error, Orders, Page, Placement, Refunded, Rejection, Transitioned,
    cursor::{cut, page_size, part, parts},
};

/// How many of a user's newest orders are searched for one of a spike.
const LOOK_BACK: u16 = 1000;
/// How often a place is looked up whose order ends while it is being read.
const LOOKS: usize = 5;

/// The partition of the index `due`: by the order's last byte, which is random.
pub(super) fn due_shard(id: OrderId) -> u8 {
    id.as_bytes()[15] % SHARDS
}

pub(super) fn write(order: &Order) -> Result<Item, Error> {
    let payment = order
        .payment
        .as_ref()
        .map(|payment| json(ORDERS, "payment", payment))
        .transpose()?;
    let refund = order
        .refund
        .as_ref()
        .map(|refund| json(ORDERS, "refund", refund))
        .transpose()?;
    let mut written = item([
        ("id", text(order.id)),
        ("spike_id", text(order.spike_id)),
        ("user_id", text(order.user_id)),
        ("quantity", number(order.quantity)),
        ("units", text(&order.units)),
        ("state", text(order.state.as_str())),
        (
            "reason",
            optional(order.reason.map(|reason| text(reason.as_str()))),
        ),
        ("total_minor", number(order.total.amount_minor)),
        ("currency", text(order.total.currency)),
        ("placed_at", time(order.placed_at)),
        ("pay_by", time(order.pay_by)),
        ("ended_at", optional(order.ended_at.map(time))),
        ("payment", optional(payment)),
        ("refund", optional(refund)),
        ("released", flag(order.released)),
    ]);
    if let Some(due_at) = order.due_at() {
        written.extend(item([
            ("due_shard", number(due_shard(order.id))),
            ("due_at", time(due_at)),
        ]));
    }
    Ok(written)
}

pub(super) fn read(row: &Row) -> Result<Order, Error> {
    Ok(Order {
        id: row.word("id")?,
        spike_id: row.word("spike_id")?,
        user_id: row.word("user_id")?,
        quantity: row.number("quantity")?,
        units: row
            .text("units")?
            .parse()
            .map_err(|_| row.corrupt("units"))?,
        state: row.word("state")?,
        reason: row.optional("reason", Row::word)?,
        total: domain::Money {
            amount_minor: row.number("total_minor")?,
            currency: row.word("currency")?,
        },
        placed_at: row.time("placed_at")?,
        pay_by: row.time("pay_by")?,
        ended_at: row.optional("ended_at", Row::time)?,
        payment: row.optional("payment", Row::json)?,
        refund: row.optional("refund", Row::json)?,
        released: row.flag("released")?,
    })
}

/// The order in an item that a refused request brought back.
pub(super) fn read_boxed(row: &Row) -> Result<Box<Order>, Error> {
    read(row).map(Box::new)
}

fn after_order(cursor: &str) -> Result<After, Error> {
    let [id] = parts("orders", cursor)?;
    let id = part::<OrderId>(id)?.to_string();
    Ok(After {
        sort: text(&id),
        id,
    })
}

fn after_refund(cursor: &str) -> Result<After, Error> {
    let [refunded_at, id] = parts("refunds", cursor)?;
    Ok(After {
        sort: number(part::<i64>(refunded_at)?),
        id: part::<OrderId>(id)?.to_string(),
    })
}

impl DynamoStore {
    async fn list_orders(
        &self,
        listing: &Listing,
        after: Option<After>,
        most: usize,
    ) -> Result<Vec<Order>, Error> {
        self.list(listing, after, most)
            .await?
            .iter()
            .map(read)
            .collect()
    }

    async fn due_in(&self, shard: u8, now: Timestamp, most: usize) -> Result<Vec<Order>, Error> {
        let shard = Listing::of((ORDERS, "due"), ("due_shard", number(shard)), "due_at");
        let until_now = Listing {
            at_most: Some(time(now)),
            ..shard
        };
        let rows = self.list(&until_now, None, most).await?;
        Ok(readable(&rows, read))
    }
}

fn by_user(user_id: UserId) -> Listing {
    Listing::of((ORDERS, "by_user"), ("user_id", text(user_id)), "id").descending()
}

#[async_trait]
impl Orders for DynamoStore {
    async fn place(&self, orders: &[Order]) -> Vec<Result<Placement, Error>> {
        self.place_all(orders).await
    }

    async fn reject(&self, order: &Order) -> Result<Rejection, Error> {
        match self.put(ORDERS, write(order)?).await? {
            None => Ok(Rejection::Written),
            Some(found) => read_boxed(&found).map(Rejection::Exists),
        }
    }

    async fn order(&self, id: OrderId) -> Result<Option<Order>, Error> {
        self.get(ORDERS, &id.to_string())
            .await?
            .map(|row| read(&row))
            .transpose()
    }

    async fn orders(&self, ids: &[OrderId]) -> Result<Vec<Order>, Error> {
        let rows = self
            .get_all(ORDERS, ids.iter().map(OrderId::to_string).collect())
            .await?;
        rows.values().map(read).collect()
    }

    async fn live_order(&self, spike_id: SpikeId, user_id: UserId) -> Result<Option<Order>, Error> {
        let place = claims::buyer_key(spike_id, user_id);
        for _ in 0..LOOKS {
            let Some(claim) = self.get(CLAIMS, &place).await? else {
                return Ok(None);
            };
            // An order that ended between the two reads has left the place: it is free, or another order's.
            let order = self.order(claim.word("order_id")?).await?;
            if order.as_ref().is_some_and(|order| order.state.is_live()) {
                return Ok(order);
            }
        }
        Err(Error::Unavailable(
            "a buyer's orders change faster than they can be read".into(),
        ))
    }

    async fn newest_order(
        &self,
        spike_id: SpikeId,
        user_id: UserId,
    ) -> Result<Option<Order>, Error> {
        // One page, however long the user's history is: its newest order of the spike, if it is on it.
        let is_of_spike = ("spike_id", text(spike_id));
        let newest = self
            .list_page(&by_user(user_id), is_of_spike, LOOK_BACK)
            .await?;
        newest.first().map(read).transpose()
    }

    async fn orders_page(
        &self,
        user_id: UserId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Order>, Error> {
        let after = cursor.map(after_order).transpose()?;
        let size = page_size(limit);
        let orders = self.list_orders(&by_user(user_id), after, size + 1).await?;
        Ok(cut(orders, size, |last| format!("orders.{}", last.id)))
    }

    async fn pay(&self, id: OrderId, payment: &Payment) -> Result<Transitioned, Error> {
        let change = Change {
            table: ORDERS,
            id: id.to_string(),
            update: "SET #state = :paid, #payment = :payment REMOVE #due_shard, #due_at",
            only_if: "#state = :placed",
            values: vec![
                (":placed", text(OrderState::Placed.as_str())),
                (":paid", text(OrderState::Paid.as_str())),
                (":payment", json(ORDERS, "payment", payment)?),
            ],
        };
        match self.change(change).await? {
            Changed::Done(row) => read_boxed(&row).map(Transitioned::Done),
            Changed::Refused { found: None, .. } => Ok(Transitioned::Unknown),
            Changed::Refused {
                found: Some(row),
                perhaps_ours,
            } => {
                let order = read_boxed(&row)?;
                let is_ours = perhaps_ours && order.payment.as_ref() == Some(payment);
                Ok(if is_ours {
                    Transitioned::Done(order)
                } else {
                    Transitioned::NotPlaced(order)
                })
            }
        }
    }

    async fn end(
        &self,
        id: OrderId,
        transition: Transition,
        now: Timestamp,
    ) -> Result<Transitioned, Error> {
        self.end_order(id, transition, now).await
    }

    async fn mark_released(&self, id: OrderId) -> Result<(), Error> {
        let change = Change {
            table: ORDERS,
            id: id.to_string(),
            update: "SET #released = :true REMOVE #due_shard, #due_at",
            only_if: "attribute_exists(#id) AND NOT #state IN (:placed, :paid)",
            values: live_states()
                .into_iter()
                .chain([(":true", flag(true))])
                .collect(),
        };
        self.change(change).await.map(drop)
    }

    async fn postpone(&self, id: OrderId, until: Timestamp) -> Result<(), Error> {
        let change = Change {
            table: ORDERS,
            id: id.to_string(),
            update: "SET #due_at = :due_at",
            only_if: "attribute_exists(#due_shard) AND NOT #state IN (:placed, :paid)",
            values: live_states()
                .into_iter()
                .chain([(":due_at", time(until))])
                .collect(),
        };
        self.change(change).await.map(drop)
    }

    async fn refund(&self, id: OrderId, refund: &Refund) -> Result<Refunded, Error> {
        let change = Change {
            table: ORDERS,
            id: id.to_string(),
            update: "SET #refund = :refund, #refunds = :owed, #refunded_at = :refunded_at",
            only_if: "attribute_exists(#id) AND NOT #state IN (:placed, :paid) AND attribute_not_exists(#refunds)",
            values: live_states()
                .into_iter()
                .chain([
                    (":refund", json(ORDERS, "refund", refund)?),
                    (":owed", text("owed")),
                    (":refunded_at", time(refund.recorded_at)),
                ])
                .collect(),
        };
        let (Changed::Done(row)
        | Changed::Refused {
            found: Some(row), ..
        }) = self.change(change).await?
        else {
            return Ok(Refunded::Unknown);
        };
        let order = read_boxed(&row)?;
        Ok(if order.state.is_live() {
            Refunded::Live(order)
        } else {
            Refunded::Recorded(order)
        })
    }

    async fn refunds_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<Order>, Error> {
        let after = cursor.map(after_refund).transpose()?;
        let size = page_size(limit);
        let listing = Listing::of(
            (ORDERS, "refunds"),
            ("refunds", text("owed")),
            "refunded_at",
        )
        .descending();
        let orders = self.list_orders(&listing, after, size + 1).await?;
        Ok(cut(orders, size, |last| {
            let refunded_at = last
                .refund
                .as_ref()
                .map_or(0, |refund| refund.recorded_at.as_millis());
            format!("refunds.{refunded_at}.{}", last.id)
        }))
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Order>, Error> {
        let most = page_size(limit);
        let shards = stream::iter((0..SHARDS).map(|shard| self.due_in(shard, now, most)));
        let mut due: Vec<Order> = shards
            .buffer_unordered(usize::from(SHARDS))
            .try_concat()
            .await?;
        due.sort_by_key(Order::due_at);
        due.truncate(most);
        Ok(due)
    }

    async fn claims(
        &self,
        spike_id: SpikeId,
        first: Unit,
        last: Unit,
    ) -> Result<Vec<Claim>, Error> {
        self.read_claims(spike_id, first..=last).await
    }

    async fn claims_on(&self, spike_id: SpikeId, units: &Units) -> Result<Vec<Claim>, Error> {
        self.read_claims_on(spike_id, units).await
    }
}

/// The states in which an order holds something, for conditions.
fn live_states() -> [(&'static str, aws_sdk_dynamodb::types::AttributeValue); 2] {
    [
        (":placed", text(OrderState::Placed.as_str())),
        (":paid", text(OrderState::Paid.as_str())),
    ]
}
