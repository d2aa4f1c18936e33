//! Orders and their state machine.
//!
//! ```text
//! (reserved) -> placed -> paid
//!            |         -> cancelled
//!            |         -> expired
//!            -> rejected
//! ```
//!
//! Every arrow is one conditional write in the store, and the store decides every race. Ended orders stay: a late
//! duplicate of an event finds them and revives nothing.

use serde::{Deserialize, Serialize};

use crate::{Money, OrderId, OrderPlaced, SpikeId, Timestamp, Units, UserId};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Its units are the buyer's until `pay_by`.
    Placed,
    /// Paid for; its units stay the buyer's.
    Paid,
    /// Given up by the buyer; its units can be bought again.
    Cancelled,
    /// Not paid in time; its units can be bought again.
    Expired,
    /// Never had units: Redis had lost data, or units were withdrawn.
    Rejected,
}

impl OrderState {
    /// Whether an order in this state holds units and its buyer's place.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Placed | Self::Paid)
    }

    /// The state after `transition`, if this state permits it: only a placed order changes.
    #[must_use]
    pub fn after(self, transition: Transition) -> Option<Self> {
        match (self, transition) {
            (Self::Placed, Transition::Pay) => Some(Self::Paid),
            (Self::Placed, Transition::Cancel) => Some(Self::Cancelled),
            (Self::Placed, Transition::Expire) => Some(Self::Expired),
            (Self::Paid | Self::Cancelled | Self::Expired | Self::Rejected, _) => None,
        }
    }

    /// The name in tables and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
        }
    }
}

/// What may happen to a placed order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// The buyer's money has come.
    Pay,
    /// The buyer gives the order up.
    Cancel,
    /// `pay_by` has passed.
    Expire,
}

/// Why an accepted reservation got no units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RejectReason {
    /// No unit was left when the doubly sold ones were found.
    SoldOut,
    /// The buyer has another live order of this spike.
    Limit,
}

impl RejectReason {
    /// The name in tables and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SoldOut => "sold-out",
            Self::Limit => "limit",
        }
    }
}

/// A confirmed payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Payment {
    /// The provider's id of the payment; the same for every repetition of one order's payment.
    pub payment_id: String,
    /// What was paid.
    pub amount: Money,
    /// When the provider confirmed it.
    pub paid_at: Timestamp,
}

/// Money that came for an order that had ended: owed back to the buyer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Refund {
    /// The late payment.
    pub payment: Payment,
    /// When the debt was recorded.
    pub recorded_at: Timestamp,
}

/// The durable record of a purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The reservation's id.
    pub id: OrderId,
    /// The spike.
    pub spike_id: SpikeId,
    /// The owner.
    pub user_id: UserId,
    /// How many units were asked for.
    pub quantity: u32,
    /// The units that the order holds or held until it ended; of a rejected order those that Redis handed out for it,
    /// which go back when it is released.
    pub units: Units,
    /// Where it stands.
    pub state: OrderState,
    /// Why it was rejected.
    pub reason: Option<RejectReason>,
    /// The price of all units.
    pub total: Money,
    /// When it was written, by Redis' clock.
    pub placed_at: Timestamp,
    /// Until when it can be paid; `placed_at` if it was rejected.
    pub pay_by: Timestamp,
    /// When it was cancelled, expired or rejected.
    pub ended_at: Option<Timestamp>,
    /// The payment of a paid order.
    pub payment: Option<Payment>,
    /// Money owed back.
    pub refund: Option<Refund>,
    /// Whether nothing is left to do for an ended order: its units are back in Redis, and what was charged for it is on
    /// record. Always false while the order is live.
    pub released: bool,
}

impl Order {
    /// The order that `placed` asks for, placed at `now` and to be paid within `pay_within`.
    #[must_use]
    pub fn placed(
        placed: &OrderPlaced,
        price: Money,
        now: Timestamp,
        pay_within: std::time::Duration,
    ) -> Self {
        Self {
            id: placed.order_id,
            spike_id: placed.spike_id,
            user_id: placed.user_id,
            quantity: placed.units.quantity(),
            units: placed.units.clone(),
            state: OrderState::Placed,
            reason: None,
            total: price.times(placed.units.quantity()),
            placed_at: now,
            pay_by: now + pay_within,
            ended_at: None,
            payment: None,
            refund: None,
            released: false,
        }
    }

    /// The record that `placed` could not become an order.
    #[must_use]
    pub fn rejected(
        placed: &OrderPlaced,
        reason: RejectReason,
        price: Money,
        now: Timestamp,
    ) -> Self {
        Self {
            state: OrderState::Rejected,
            reason: Some(reason),
            pay_by: now,
            ended_at: Some(now),
            ..Self::placed(placed, price, now, std::time::Duration::ZERO)
        }
    }

    /// When the sweeper has something to do for this order: expire it, or finish its release.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        match self.state {
            OrderState::Placed => Some(self.pay_by),
            OrderState::Paid => None,
            OrderState::Cancelled | OrderState::Expired | OrderState::Rejected => {
                self.ended_at.filter(|_| !self.released)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATES: [OrderState; 5] = [
        OrderState::Placed,
        OrderState::Paid,
        OrderState::Cancelled,
        OrderState::Expired,
        OrderState::Rejected,
    ];
    const TRANSITIONS: [Transition; 3] = [Transition::Pay, Transition::Cancel, Transition::Expire];

    #[test]
    fn a_paid_order_cannot_expire() {
        assert_eq!(OrderState::Paid.after(Transition::Expire), None);
    }

    proptest! {
        #[test]
        fn of_all_transitions_exactly_the_first_wins(order in proptest::collection::vec(0_usize..3, 1..20)) {
            let mut state = OrderState::Placed;
            let wins = order.iter().filter(|index| {
                let next = state.after(TRANSITIONS[**index]);
                state = next.unwrap_or(state);
                next.is_some()
            });
            prop_assert_eq!(wins.count(), 1);
        }
    }

    #[test]
    fn an_ended_order_is_never_revived() {
        for state in STATES.into_iter().filter(|state| !state.is_live()) {
            for transition in TRANSITIONS {
                assert_eq!(state.after(transition), None);
            }
        }
    }

    #[test]
    fn names_in_tables_are_the_names_in_json() {
        for state in STATES {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        for reason in [RejectReason::SoldOut, RejectReason::Limit] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
