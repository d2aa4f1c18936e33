//! What an owner sees of an order: the one shape that reading, paying and cancelling answer with.

use serde::{Deserialize, Serialize};

use crate::{
    Money, Order, OrderId, OrderState, RejectReason, SpikeId, Timestamp, Unit,
    order::{Payment, Refund},
};

/// An order as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(example = json!({
    "order_id": "01900000-0000-7000-8000-000000000000",
    "spike_id": "01900000-0000-7000-8000-000000000001",
    "quantity": 1,
    "units": [7],
    "state": "placed",
    "reason": null,
    "total": { "amount_minor": 4900, "currency": "EUR" },
    "placed_at": "2026-11-22T10:00:00.000Z",
    "pay_by": "2026-11-22T10:15:00.000Z",
    "ended_at": null,
    "payment": null,
    "refund": null
}))]
pub struct OrderView {
    /// The order.
    pub order_id: OrderId,
    /// The spike that it buys from.
    pub spike_id: SpikeId,
    /// How many units were asked for.
    pub quantity: u32,
    /// The units that the order holds, or held until it ended; empty if it was rejected.
    pub units: Vec<Unit>,
    /// Where it stands.
    pub state: OrderState,
    /// Why it was rejected.
    pub reason: Option<RejectReason>,
    /// The price of all units.
    pub total: Money,
    /// When it was written.
    pub placed_at: Timestamp,
    /// Until when it can be paid.
    pub pay_by: Timestamp,
    /// When it was cancelled, expired or rejected.
    pub ended_at: Option<Timestamp>,
    /// The payment of a paid order.
    pub payment: Option<Payment>,
    /// Money owed back.
    pub refund: Option<Refund>,
}

impl From<&Order> for OrderView {
    fn from(order: &Order) -> Self {
        let had_units = order.state != OrderState::Rejected;
        Self {
            order_id: order.id,
            spike_id: order.spike_id,
            quantity: order.quantity,
            units: order.units.iter().filter(|_| had_units).collect(),
            state: order.state,
            reason: order.reason,
            total: order.total,
            placed_at: order.placed_at,
            pay_by: order.pay_by,
            ended_at: order.ended_at,
            payment: order.payment.clone(),
            refund: order.refund.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{OrderPlaced, UserId};

    #[test]
    fn a_rejected_order_shows_no_units() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let placed = OrderPlaced {
            order_id: OrderId::mint(now, [1; 10]),
            spike_id: SpikeId::mint(now, [2; 10]),
            user_id: UserId::mint(now, [3; 10]),
            units: [4, 7].into_iter().collect(),
        };
        let price = Money {
            amount_minor: 100,
            currency: "EUR".parse().unwrap(),
        };
        let order = Order::placed(&placed, price, now, Duration::from_mins(1));
        assert_eq!(OrderView::from(&order).units, [4, 7]);
        let order = Order::rejected(&placed, RejectReason::SoldOut, price, now);
        let view = OrderView::from(&order);
        assert_eq!(
            (view.units, view.quantity, view.ended_at),
            (vec![], 2, Some(now))
        );
    }
}
