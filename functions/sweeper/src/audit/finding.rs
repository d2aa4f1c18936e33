//! What store and Redis say about one unit, and what is to be done about it (DESIGN: the audit's list).

use domain::{Order, OrderId, Unit, Units, UserId};
use stock::{Seen, Truth, UnitState};
use store::Holder;

/// What is to be done about a unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Finding {
    /// Nothing: both say the same, or the one that is wrong corrects itself.
    Agrees,
    /// Handed out to a reservation that is no order yet: never taken back, only kept pending.
    InFlight {
        /// The reservation.
        order_id: OrderId,
        /// Its buyer.
        user_id: UserId,
    },
    /// Free in the store and nobody's in Redis.
    Offer,
    /// Free in the store, held in Redis by an order that does not hold it.
    Release {
        /// The order in Redis.
        order_id: OrderId,
        /// Its buyer.
        user_id: UserId,
        /// What that order does hold.
        keep: Units,
    },
    /// Held in the store; Redis shows something else.
    Learn {
        /// What the store says.
        truth: Truth,
        /// Whom Redis shows.
        seen: Option<Seen>,
    },
    /// The house holds the unit in Redis only: the store says whether it is retired or goes back, by what is wanted then.
    Retire,
}

impl Finding {
    /// As it is counted: what had to be done.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Agrees | Self::InFlight { .. } => "none",
            Self::Offer => "not-on-offer",
            Self::Release { .. } => "not-released",
            Self::Learn { .. } => "holder-unknown",
            Self::Retire => "not-retired",
        }
    }

    /// The order and the buyer that it is about: whoever holds the unit by the store, or else by Redis.
    pub(crate) fn whose(&self) -> Option<(OrderId, UserId)> {
        match self {
            Self::InFlight { order_id, user_id }
            | Self::Release {
                order_id, user_id, ..
            }
            | Self::Learn {
                truth: Truth::Order {
                    order_id, user_id, ..
                },
                ..
            } => Some((*order_id, *user_id)),
            Self::Agrees | Self::Offer | Self::Learn { .. } | Self::Retire => None,
        }
    }
}

/// Whether both plainly say the same, without a look at the order.
pub(crate) fn agree(claim: Option<Holder>, state: &UnitState) -> bool {
    match (claim, state) {
        (None, UnitState::OnOffer)
        | (Some(Holder::House), UnitState::House | UnitState::Missing) => true,
        (
            Some(Holder::Order { order_id, .. }),
            UnitState::Held {
                order_id: held_by, ..
            },
        ) => order_id == *held_by,
        _ => false,
    }
}

/// Decides about `unit`. `orders` are those of the claim and of the holder in Redis, as far as they exist.
pub(crate) fn finding(
    unit: Unit,
    claim: Option<Holder>,
    state: &UnitState,
    orders: &[Order],
) -> Finding {
    if agree(claim, state) {
        return Finding::Agrees;
    }
    let order = |id: OrderId| orders.iter().find(|order| order.id == id);
    match (claim, state) {
        (None, UnitState::OnOffer) => Finding::Agrees,
        (None, UnitState::Missing) => Finding::Offer,
        (None, UnitState::House) => Finding::Retire,
        (
            None,
            UnitState::Held {
                order_id, user_id, ..
            },
        ) => {
            let (order_id, user_id) = (*order_id, *user_id);
            match order(order_id) {
                None => Finding::InFlight { order_id, user_id },
                Some(order) if !order.state.is_live() => Finding::Release {
                    order_id,
                    user_id,
                    keep: Units::none(),
                },
                Some(order) if order.units.contains(unit) => Finding::Agrees, // Written between the two reads.
                Some(order) => Finding::Release {
                    order_id,
                    user_id,
                    keep: order.units.clone(),
                },
            }
        }
        (Some(Holder::House), UnitState::Held { order_id, .. }) => match order(*order_id) {
            // The writer finds this conflict itself, and reassigns.
            None => Finding::Agrees,
            Some(_) => Finding::Learn {
                truth: Truth::Retired,
                seen: Some(Seen::Order(*order_id)),
            },
        },
        (Some(Holder::House), UnitState::OnOffer | UnitState::Missing | UnitState::House) => {
            Finding::Learn {
                truth: Truth::Retired,
                seen: None,
            }
        }
        (Some(Holder::Order { order_id, .. }), state) => {
            match order(order_id).filter(|order| order.state.is_live()) {
                None => Finding::Agrees, // Ended between the two reads.
                Some(order) => Finding::Learn {
                    truth: Truth::of(order),
                    seen: seen(state),
                },
            }
        }
    }
}

fn seen(state: &UnitState) -> Option<Seen> {
    match state {
        UnitState::OnOffer | UnitState::Missing => None,
        UnitState::House => Some(Seen::House),
        UnitState::Held { order_id, .. } => Some(Seen::Order(*order_id)),
    }
}

#[cfg(test)]
mod tests;
