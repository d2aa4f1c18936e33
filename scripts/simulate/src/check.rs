//! The invariants (I1 to I10 of the design): what holds after every step, and what holds at rest.

use std::collections::BTreeMap;

use domain::{Order, OrderId, OrderState, RejectReason, Spike, SpikeId, Unit, UserId};
use store::Holder;

use crate::{
    plan::{self, Plan},
    redis::Keyspace,
    store::State,
    world::World,
};

/// What the checks remember from one step to the next.
#[derive(Default)]
pub struct Checks {
    seen: BTreeMap<OrderId, Order>,
    writes: u64,
}

macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}

mod rest;

pub use rest::at_rest;

impl Checks {
    /// I1, I2, I6, I7 and I9, on the store alone.
    pub fn after_step(&mut self, world: &World, plan: &Plan) -> Result<(), String> {
        if let Some(violation) = world.steps.violation() {
            return Err(violation);
        }
        let state = world.store.state();
        let redis = world.server.state();
        for spike in &plan.spikes {
            in_redis(spike, &redis)?;
            let sale = redis.hash(&key(spike, "sale"));
            ensure!(
                state.spikes.contains_key(&spike.id) || !is_open(&sale),
                "ADR 32: a spike that is deleted is open in Redis: {sale:?}"
            );
            if !plan.redis_forgets {
                kept(spike, world, &state, &redis)?;
            }
        }
        if state.writes == self.writes {
            return Ok(());
        }
        self.writes = state.writes;
        for order in state.orders.values() {
            if let Some(before) = self.seen.get(&order.id) {
                went_on(before, order, world.steps.now_ms())?;
            }
            self.seen.insert(order.id, order.clone());
            allowed(order, plan)?;
            rejected(order, &state, world, plan)?;
        }
        claims(&state)
    }
}

/// A unit in Redis is on offer or somebody's, never both.
fn in_redis(spike: &Spike, redis: &Keyspace) -> Result<(), String> {
    let (sale, free) = (
        redis.hash(&key(spike, "sale")),
        redis.set(&key(spike, "free")),
    );
    let held = redis.hash(&key(spike, "held"));
    let next = number(&sale, "next");
    for unit in &free {
        let below = unit.parse::<Unit>().is_ok_and(|unit| unit <= next);
        ensure!(
            below && !held.contains_key(unit),
            "unit {unit} is on offer twice, or on offer and held by {:?}; next is {next}",
            held.get(unit)
        );
    }
    let above = held
        .keys()
        .filter_map(|unit| unit.parse::<Unit>().ok())
        .find(|unit| *unit > next);
    ensure!(
        above.is_none(),
        "unit {above:?} is held and, above {next}, on offer"
    );
    Ok(())
}

/// While Redis loses nothing: an accepted order is in the store or in the outbox (rule 3), and a pause that was confirmed
/// holds (rule 9).
fn kept(spike: &Spike, world: &World, state: &State, redis: &Keyspace) -> Result<(), String> {
    let pending = redis.members(&key(spike, "pending"));
    let book = world.book();
    for (id, _) in book.promised.iter().filter(|(_, (of, _))| *of == spike.id) {
        let is_pending = || {
            pending
                .iter()
                .any(|entry| entry.starts_with(&format!("{id}|")))
        };
        ensure!(
            state.orders.contains_key(id) || is_pending(),
            "rule 3: {id} was accepted and is neither an order nor pending"
        );
    }
    let sale = redis.hash(&key(spike, "sale"));
    ensure!(
        !(is_open(&sale) && book.paused.contains(&spike.id)),
        "rule 9: a pause was confirmed, and the sale is open"
    );
    Ok(())
}

fn is_open(sale: &BTreeMap<String, String>) -> bool {
    sale.get("state").is_some_and(|state| state == "open")
}

fn key(spike: &Spike, kind: &str) -> String {
    format!("spike:{{{}}}:{kind}", spike.id)
}

fn number(hash: &BTreeMap<String, String>, field: &str) -> Unit {
    hash.get(field).and_then(|it| it.parse().ok()).unwrap_or(0)
}

/// I6 and I7: an order goes from `placed` to one end, and nothing else about it changes.
fn went_on(before: &Order, now: &Order, now_ms: i64) -> Result<(), String> {
    let may = before.state == now.state || before.state == OrderState::Placed;
    ensure!(may, "I7: an ended order changed: {before:?} became {now:?}");
    let same =
        (before.spike_id, before.user_id, &before.units) == (now.spike_id, now.user_id, &now.units);
    let expires = before.state == OrderState::Placed && now.state == OrderState::Expired;
    ensure!(
        !expires || before.pay_by.as_millis() <= now_ms,
        "an order expired before its deadline: {before:?} at {now_ms}"
    );
    ensure!(same, "I7: an order became another: {before:?}, {now:?}");
    Ok(())
}

/// I9: whom the rules refuse has no order.
fn allowed(order: &Order, plan: &Plan) -> Result<(), String> {
    let guarded = plan
        .spikes
        .iter()
        .any(|spike| !spike.settings.rules.is_empty());
    if guarded && order.state != OrderState::Rejected {
        let mut users = (0..plan::USERS).chain(plan::latecomers());
        let member = users.any(|it| plan::user_id(it) == order.user_id && plan::is_member(it));
        ensure!(member, "I9: a user who is denied has an order: {order:?}");
    }
    Ok(())
}

/// Orders are rejected only where units can have been withdrawn or sold twice; for the limit only if the buyer has had
/// another order that was live, and as sold out only after Redis had too few units on offer for it.
fn rejected(order: &Order, state: &State, world: &World, plan: &Plan) -> Result<(), String> {
    let (may_be, has_cause) = match order.reason {
        None => return Ok(()),
        Some(RejectReason::SoldOut) => {
            let had_none = world.steps.is_turned_away(&order.id.to_string());
            (plan.redis_forgets || plan.lowers, had_none)
        }
        Some(RejectReason::Limit) => (plan.redis_forgets, has_another(order, state)),
    };
    ensure!(
        may_be,
        "an order was rejected although nothing was lost: {order:?}"
    );
    ensure!(has_cause, "an order was rejected for nothing: {order:?}");
    Ok(())
}

/// Whether the buyer has an order of the same sale that is live or was: only rejected orders never were.
fn has_another(order: &Order, state: &State) -> bool {
    state.orders.values().any(|other| {
        (other.spike_id, other.user_id) == (order.spike_id, order.user_id)
            && other.id != order.id
            && other.state != OrderState::Rejected
    })
}

/// I1 and I2: live orders and claims are the same thing seen from two sides, and no claim is outside of the stock.
fn claims(state: &State) -> Result<(), String> {
    let mut units: BTreeMap<(SpikeId, Unit), OrderId> = BTreeMap::new();
    let mut places: BTreeMap<(SpikeId, UserId), OrderId> = BTreeMap::new();
    for order in state.orders.values().filter(|order| order.state.is_live()) {
        let place = places.insert((order.spike_id, order.user_id), order.id);
        ensure!(
            place.is_none(),
            "I2: two live orders of one buyer: {place:?} and {order:?}"
        );
        ensure!(
            order.units.quantity() == order.quantity,
            "I2: not as many units as asked for: {order:?}"
        );
        for unit in order.units.iter() {
            let other = units.insert((order.spike_id, unit), order.id);
            ensure!(
                other.is_none(),
                "I1: unit {unit} was sold twice: to {other:?} and to {order:?}"
            );
        }
    }
    ensure!(
        places == state.places,
        "I2: buyers' places differ: {places:?}, claimed {:?}",
        state.places
    );
    let mut retired: BTreeMap<SpikeId, u32> = BTreeMap::new();
    for ((spike_id, unit), holder) in &state.units {
        // Whoever deletes a spike leaves what the house has of it: nobody asks for that again.
        if *holder == Holder::House && !state.spikes.contains_key(spike_id) {
            continue;
        }
        let top = state.spikes.get(spike_id).map_or(0, |spike| spike.top);
        ensure!(
            (1..=top).contains(unit),
            "I1: unit {unit} is above the top {top}: {holder:?}"
        );
        match holder {
            Holder::House => *retired.entry(*spike_id).or_default() += 1,
            Holder::Order { order_id, .. } => {
                let live = units.remove(&(*spike_id, *unit));
                ensure!(
                    live == Some(*order_id),
                    "I1: unit {unit} is claimed by {order_id}, sold to {live:?}"
                );
            }
        }
    }
    ensure!(units.is_empty(), "I1: sold without a claim: {units:?}");
    for spike in state.spikes.values() {
        let counted = retired.get(&spike.id).copied().unwrap_or(0);
        ensure!(
            counted == spike.retired,
            "{counted} units are retired, the spike says {}",
            spike.retired
        );
        let target = spike.settings.stock;
        ensure!(
            spike.live_units() >= target,
            "I1: {counted} units are retired, more than asked for: {spike:?}"
        );
    }
    Ok(())
}
