//! The conservation of units: every unit of a sale is somewhere, and nowhere twice.
//!
//! `top` = free + queued + placed + paid + settling + retired (+ unreadable). Free is what Redis offers; placed, paid and retired are what
//! the store has claimed; queued is what Redis holds for reservations that are no order yet. The two sides are counted
//! apart, so that a unit that both sell makes the sum too large, and one that neither has makes it too small.

use std::collections::{HashMap, HashSet};

use domain::{Order, OrderId, OrderState, Timestamp, Unit};
use serde::Serialize;
use stock::UnitState;
use store::{Claim, Holder};

/// The most units on their way that are listed.
const LISTED: usize = 100;

/// Where the units are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Balance {
    /// Units that can be bought.
    pub free: u32,
    /// Units of reservations that are no order yet.
    pub queued: u32,
    /// Units of orders that wait for their payment.
    pub placed: u32,
    /// Units of paid orders.
    pub paid: u32,
    /// Units between two places: of ended orders and not on offer again yet, or about to be retired.
    pub settling: u32,
    /// Units that were taken back for good.
    pub retired: u32,
    /// Units of orders that the store has and cannot read: somebody has to look at them. 0, but for a defect.
    pub unreadable: u32,
    /// Whether these are all units of the sale. Reads are not of one moment: what does not balance twice in a minute is
    /// for the audit, and what it cannot mend is an incident.
    pub balances: bool,
    /// The 100 of the queued and settling units that have been on their way for longest.
    pub on_the_way: Vec<OnTheWay>,
}

/// A unit on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OnTheWay {
    /// The unit.
    pub unit: u32,
    /// Whether it becomes an order or comes back.
    pub state: Way,
    /// The reservation; null for a unit that the house is taking back.
    pub order_id: Option<OrderId>,
    /// For how long it has been on its way, by Redis' clock: since it was reserved, or since its order ended. Null for the
    /// house.
    pub age_secs: Option<u64>,
}

/// Where a unit is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Reserved, and not an order yet.
    Queued,
    /// Ended or withdrawn, and not at rest yet.
    Settling,
}

/// The orders behind claims and units.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// As far as they exist.
    pub(crate) orders: HashMap<OrderId, Order>,
    /// Those that are there and cannot be read.
    pub(crate) unreadable: HashSet<OrderId>,
}

/// Counts units, some at a time.
pub(crate) struct Count {
    now: Timestamp,
    counted: Balance,
}

impl Count {
    /// Nothing counted yet; ages are those at `now`.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self {
            now,
            counted: Balance::default(),
        }
    }

    /// Counts a unit by what either side says of it. Redis says nothing if it does not have the sale: then what nobody
    /// has claimed is free. `known` has the orders of the claim and of Redis' holder.
    pub(crate) fn unit(
        &mut self,
        unit: Unit,
        claim: Option<&Claim>,
        state: Option<&UnitState>,
        known: &Known,
    ) {
        let held_by = state.and_then(held_by);
        let is_unreadable = |id: &OrderId| known.unreadable.contains(id);
        let known = |id: OrderId| known.orders.get(&id);
        let holds = |order: &&Order| order.state.is_live() && order.units.contains(unit);
        let claimed_by = claim.and_then(order_of);
        let unreadable = claimed_by.or(held_by).as_ref().is_some_and(is_unreadable);
        // An order that was written between the two reads is one, too.
        let order = claimed_by.or(held_by).and_then(known).filter(holds);
        let retired = claim.is_some_and(|claim| claim.holder == Holder::House);
        match order.map(|order| order.state) {
            _ if retired => self.counted.retired += 1,
            _ if unreadable => self.counted.unreadable += 1,
            Some(OrderState::Paid) => self.counted.paid += 1,
            Some(_) => self.counted.placed += 1,
            None => {}
        }
        let elsewhere = retired || unreadable || order.is_some();
        match state {
            Some(UnitState::OnOffer) => self.counted.free += 1,
            None if !elsewhere => self.counted.free += 1,
            Some(UnitState::Held { order_id, .. }) if is_unreadable(order_id) => {}
            Some(UnitState::Held { order_id, .. }) if order.is_none_or(|it| it.id != *order_id) => {
                match known(*order_id) {
                    None => {
                        let since = order_id.minted_at();
                        self.on_the_way(unit, Way::Queued, Some((*order_id, since)));
                    }
                    Some(_) if elsewhere => {}
                    Some(ended) => {
                        let since = ended.ended_at.unwrap_or(ended.placed_at);
                        self.on_the_way(unit, Way::Settling, Some((*order_id, since)));
                    }
                }
            }
            Some(UnitState::House) if !elsewhere => self.on_the_way(unit, Way::Settling, None),
            Some(UnitState::Held { .. } | UnitState::House | UnitState::Missing) | None => {}
        }
    }

    /// The sum, for a sale of so many units.
    pub(crate) fn balance(self, top: u32) -> Balance {
        let mut it = self.counted;
        let at_rest = it.free + it.placed + it.paid + it.retired + it.unreadable;
        let sum = at_rest + it.queued + it.settling;
        it.balances = sum == top;
        it.on_the_way
            .sort_by_key(|unit| (std::cmp::Reverse(unit.age_secs), unit.unit));
        it.on_the_way.truncate(LISTED);
        it
    }

    fn on_the_way(&mut self, unit: Unit, state: Way, order: Option<(OrderId, Timestamp)>) {
        match state {
            Way::Queued => self.counted.queued += 1,
            Way::Settling => self.counted.settling += 1,
        }
        self.counted.on_the_way.push(OnTheWay {
            unit,
            state,
            order_id: order.map(|(id, _)| id),
            age_secs: order.map(|(_, since)| self.now.since(since).as_secs()),
        });
    }
}

/// The order behind a claim.
pub(crate) fn order_of(claim: &Claim) -> Option<OrderId> {
    match claim.holder {
        Holder::Order { order_id, .. } => Some(order_id),
        Holder::House => None,
    }
}

/// The reservation that Redis shows.
pub(crate) fn held_by(state: &UnitState) -> Option<OrderId> {
    match state {
        UnitState::Held { order_id, .. } => Some(*order_id),
        UnitState::OnOffer | UnitState::House | UnitState::Missing => None,
    }
}
