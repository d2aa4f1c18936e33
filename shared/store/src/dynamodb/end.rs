//! Ending orders: the state changes and the claims go in one transaction.

use domain::{Order, OrderId, OrderState, Timestamp, order::Transition};

use super::{
    DynamoStore,
    call::{Reason, all_decided},
    claims,
    item::{Item, Row, flag, number, text, time},
    orders::{due_shard, read_boxed},
    request::Change,
    tables::ORDERS,
};
use crate::{Error, Orders, Transitioned};

fn ending(order: &Order) -> Change {
    Change {
        table: ORDERS,
        id: order.id.to_string(),
        update: "SET #state = :ended, #ended_at = :now, #released = :false, #due_shard = :due_shard, #due_at = :now",
        only_if: "#state = :placed",
        values: vec![
            (":placed", text(OrderState::Placed.as_str())),
            (":ended", text(order.state.as_str())),
            (":now", time(order.ended_at.unwrap_or(order.pay_by))),
            (":false", flag(false)),
            (":due_shard", number(due_shard(order.id))),
        ],
    }
}

impl DynamoStore {
    /// [`Orders::end`]. What the order holds never changes while it is placed, so it may be read before the transaction;
    /// the transaction decides.
    pub(super) async fn end_order(
        &self,
        id: OrderId,
        transition: Transition,
        now: Timestamp,
    ) -> Result<Transitioned, Error> {
        if transition == Transition::Pay {
            return Err(Error::Corrupt("a payment does not end an order".into()));
        }
        let Some(order) = self.order(id).await? else {
            return Ok(Transitioned::Unknown);
        };
        let Some(state) = order.state.after(transition) else {
            return Ok(Transitioned::NotPlaced(Box::new(order)));
        };
        let ended = Order {
            state,
            ended_at: Some(now),
            released: false,
            ..order
        };
        let mut items = vec![ending(&ended).in_transaction()?];
        items.extend(claims::deletions(&ended)?);
        let refused = self.transact(items, |reasons| {
            let all_decided = all_decided(&reasons);
            match reasons.into_iter().next() {
                Some(Reason::Failed(item)) => Some(found(item)),
                _ => all_decided.then(|| Err(lost_claim())),
            }
        });
        Ok(refused
            .await?
            .unwrap_or_else(|| Transitioned::Done(Box::new(ended))))
    }
}

/// The order that is not placed any more.
fn found(item: Option<Item>) -> Result<Transitioned, Error> {
    let order = item
        .map(|item| read_boxed(&Row::new(ORDERS, item)))
        .transpose()?;
    Ok(order.map_or(Transitioned::Unknown, Transitioned::NotPlaced))
}

/// A placed order holds all its claims; if not, ending it would free what is another's.
fn lost_claim() -> Error {
    Error::Corrupt("claims.order_id: a placed order does not hold its claims".into())
}
