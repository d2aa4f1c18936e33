//! What holds when nothing is under way any more.

use std::collections::{BTreeMap, BTreeSet};

use domain::{OrderId, OrderState, Spike, Unit};
use store::Holder;

use super::is_open;
use crate::{redis::Keyspace, store::State, world::World};

/// I3 to I6 and I8, when nothing is under way any more.
pub fn at_rest(world: &World) -> Result<(), String> {
    let state = world.store.state();
    let redis = world.server.state();
    let book = world.book();
    for (id, (spike_id, user_id)) in &book.promised {
        let order = state.orders.get(id);
        let theirs =
            order.is_some_and(|order| order.spike_id == *spike_id && order.user_id == *user_id);
        ensure!(
            theirs,
            "I3: the order {id} was promised to {user_id}, the store has {order:?}"
        );
    }
    let is = |id: &OrderId, wanted: OrderState| {
        state.orders.get(id).is_some_and(|it| it.state == wanted)
    };
    for id in &book.paid {
        ensure!(
            is(id, OrderState::Paid),
            "I6: paid, and then {:?}",
            state.orders.get(id)
        );
    }
    for id in &book.cancelled {
        ensure!(
            is(id, OrderState::Cancelled),
            "I6: cancelled, and then {:?}",
            state.orders.get(id)
        );
    }
    for id in &book.charged {
        let settled = state.orders.get(id).is_none_or(|order| {
            order.payment.is_some() || order.refund.is_some() || order.state == OrderState::Placed
        });
        ensure!(
            settled,
            "I6: money that is on no record: {:?}",
            state.orders.get(id)
        );
    }
    ensure!(
        book.messages.is_empty(),
        "events are never done: {:?}",
        book.messages
    );
    for order in state.orders.values() {
        ensure!(
            order.state.is_live() || order.released,
            "I4: never released: {order:?}"
        );
    }
    for spike in state.spikes.values().filter(|spike| !spike.shelved) {
        same(spike, &state, &redis)?;
    }
    Ok(())
}

/// I4: units, buyers and the outbox in Redis are what the store says.
fn same(spike: &Spike, state: &State, redis: &Keyspace) -> Result<(), String> {
    let key = |kind: &str| super::key(spike, kind);
    let sale = redis.hash(&key("sale"));
    let pending = redis.members(&key("pending"));
    ensure!(pending.is_empty(), "I8: still pending: {pending:?}");
    if sale.is_empty() {
        // Nobody loads what is over.
        ensure!(spike.closed, "I4: the sale is not in Redis");
        return Ok(());
    }
    let number = |field: &str| {
        sale.get(field)
            .and_then(|it| it.parse::<Unit>().ok())
            .unwrap_or(0)
    };
    let (next, top) = (number("next"), number("top"));
    ensure!(
        top == spike.top,
        "I4: Redis has {top} units, the store {}",
        spike.top
    );
    let (free, held) = (redis.set(&key("free")), redis.hash(&key("held")));
    let on_offer: BTreeSet<Unit> = (1..=top)
        .filter(|unit| *unit > next || free.contains(&unit.to_string()))
        .collect();
    let claimed = |unit: &Unit| state.units.get(&(spike.id, *unit));
    let unclaimed: BTreeSet<Unit> = (1..=top).filter(|unit| claimed(unit).is_none()).collect();
    ensure!(
        on_offer == unclaimed,
        "I4: on offer in Redis {on_offer:?}, free in the store {unclaimed:?}"
    );
    ensure!(
        unclaimed.is_empty() || spike.live_units() == spike.settings.stock,
        "rule 7: units {unclaimed:?} are on offer beyond the target: {spike:?}"
    );
    for unit in 1..=top {
        let shown = held
            .get(&unit.to_string())
            .and_then(|it| it.split('|').next());
        let truth = claimed(&unit).and_then(|holder| match holder {
            Holder::House => None,
            Holder::Order { order_id, .. } => Some(order_id.to_string()),
        });
        let shown = shown.filter(|it| *it != "#retire").map(str::to_owned);
        ensure!(
            shown == truth,
            "I4: unit {unit} is {shown:?}'s in Redis, {truth:?}'s in the store"
        );
    }
    same_buyers(spike, state, &redis.hash(&key("buyers")))?;
    same_settings(spike, &sale)
}

/// Rule 9: what was decided about the sale is what Redis goes by.
fn same_settings(spike: &Spike, sale: &BTreeMap<String, String>) -> Result<(), String> {
    let settings = &spike.settings;
    let opens = sale.get("opens");
    let may_open = [
        sale.get("healing_until").cloned(),
        Some(settings.starts_at.as_millis().to_string()),
    ];
    ensure!(
        !is_open(sale) || may_open.contains(&opens.cloned()),
        "rule 9: the sale opens at {opens:?}, and not at its start or healed: {sale:?}"
    );
    for (field, wanted) in [
        ("version", spike.version.to_string()),
        ("state", spike.gate().as_str().to_owned()),
        ("starts", settings.starts_at.as_millis().to_string()),
        ("ends", settings.ends_at.as_millis().to_string()),
        ("limit", settings.limit_per_user.to_string()),
        ("guarded", u8::from(!settings.rules.is_empty()).to_string()),
    ] {
        let there = sale.get(field);
        ensure!(
            there == Some(&wanted),
            "rule 9: {field} is {there:?} in Redis, {wanted} in the store"
        );
    }
    Ok(())
}

/// I4: whoever has a live order is marked with it, and nobody else is.
fn same_buyers(
    spike: &Spike,
    state: &State,
    shown: &BTreeMap<String, String>,
) -> Result<(), String> {
    let buyers: BTreeMap<String, String> = state
        .places
        .iter()
        .filter(|((spike_id, _), _)| *spike_id == spike.id)
        .filter_map(|((_, user), id)| {
            let units = &state.orders.get(id)?.units;
            let units: Vec<String> = units.iter().map(|unit| unit.to_string()).collect();
            Some((user.to_string(), format!("{id}|{}", units.join(","))))
        })
        .collect();
    ensure!(
        *shown == buyers,
        "I4: buyers in Redis {shown:?}, in the store {buyers:?}"
    );
    Ok(())
}
