//! What capacity a hot function should have, from the sale calendar alone.
//!
//! Nothing is remembered between runs: the wanted capacity follows from the calendar, the clock and what is there now. So
//! whoever takes over from a run that died does what it would have done, and a run that finds all as it should be does
//! nothing.
//!
//! Nothing is changed while any sale is open, or about to open: on Knative a change makes a new revision, and even one that
//! nobody has announced buyers for must not open in the middle of that. What is in force when a sale opens therefore has to
//! do until it is over, and for every sale that opens before then or so soon afterwards that there is no time for a change.

use std::time::Duration;

use domain::{Spike, SpikeId, Timestamp};

use crate::capacity::Level;

/// Bounds of what is planned, the same for all functions.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most instances that a function is given.
    pub instances_max: u32,
    /// How long before a start its capacity is raised.
    pub lead: Duration,
    /// How long before a start nothing is changed any more.
    pub guard: Duration,
}

/// A spike, as far as capacity is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sale {
    /// Which one.
    pub id: SpikeId,
    /// When it opens.
    pub starts_at: Timestamp,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
    /// How many are expected; 0 if nobody has said.
    pub buyers: u32,
    /// Whether nothing is left to buy: it was closed, or every unit has a holder.
    pub over: bool,
}

impl Sale {
    /// The sale of a spike, of which every unit has a holder or not.
    #[must_use]
    pub fn of(spike: &Spike, sold_out: bool) -> Self {
        Self {
            id: spike.id,
            starts_at: spike.settings.starts_at,
            ends_at: spike.settings.ends_at,
            buyers: spike.settings.expected_buyers.unwrap_or(0),
            over: spike.closed || sold_out,
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.over || now >= self.ends_at
    }
}

/// What is to be done about a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It has what it should have.
    Keep,
    /// It should have something else, and this sale is open or about to open.
    Hold(SpikeId),
    /// It is to have so many instances.
    Change(u32),
}

/// What is to be done at `now` about a function that is at `level`, of which one instance serves `buyers_per_instance`.
#[must_use]
pub fn step(
    now: Timestamp,
    sales: &[Sale],
    buyers_per_instance: u32,
    bounds: &Bounds,
    level: &Level,
) -> Step {
    let buyers = buyers_at_once(now, sales, bounds.lead);
    let needed = buyers.div_ceil(u64::from(buyers_per_instance.max(1)));
    let wanted = wanted(needed, bounds.instances_max, level);
    let own_again = wanted == level.own.unwrap_or(0) && level.noted;
    if wanted == level.at && !own_again {
        return Step::Keep;
    }
    match in_the_way(now, sales, bounds.guard) {
        Some(id) => Step::Hold(id),
        None => Step::Change(wanted),
    }
}

/// Never less than the operator's own, and never more than either bound because of us.
fn wanted(needed: u64, instances_max: u32, level: &Level) -> u32 {
    let most = instances_max.min(level.at_most.unwrap_or(u32::MAX));
    let needed = u32::try_from(needed).unwrap_or(u32::MAX);
    needed.min(most).max(level.own.unwrap_or(0))
}

/// A sale that is open at `now`, or opens within `guard`.
fn in_the_way(now: Timestamp, sales: &[Sale], guard: Duration) -> Option<SpikeId> {
    let until = now + guard;
    let mut sales = sales.iter();
    let sale = sales.find(|sale| sale.starts_at <= until && !sale.is_over(now))?;
    Some(sale.id)
}

/// The most buyers that are expected at the same time before capacity can be changed again.
///
/// Those are the sales that open within `lead`, those that open before one of these is over, and so on. Buyers of sales that
/// are open together add up: they are different requests to the same instances. Sales one after the other do not.
fn buyers_at_once(now: Timestamp, sales: &[Sale], lead: Duration) -> u64 {
    let mut coming: Vec<&Sale> = sales.iter().filter(|sale| !sale.is_over(now)).collect();
    coming.sort_by_key(|sale| sale.starts_at);
    let mut until = now + lead;
    let mut reached = Vec::new();
    for sale in coming {
        if sale.starts_at > until {
            break;
        }
        until = until.max(sale.ends_at + lead);
        reached.push(sale);
    }
    let open_at = |at: Timestamp| {
        let open = reached
            .iter()
            .filter(move |sale| sale.starts_at <= at && at < sale.ends_at);
        open.map(|sale| u64::from(sale.buyers)).sum::<u64>()
    };
    let starts = reached.iter().map(|sale| open_at(sale.starts_at));
    starts.max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
