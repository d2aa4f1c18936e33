//! Auditing a sale: the store's claims and Redis' units, compared as sets and repaired unit by unit.
//!
//! A first pass over all units finds those that differ; each is then read again, with the orders behind it, before
//! anything is written. Every write compares what Redis shows at that moment, so a purchase, a cancellation or another
//! audit in between makes the write do nothing.

mod finding;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use domain::{Order, OrderId, OrderPlaced, OrderState, Spike, SpikeId, Unit, Units, UserId};
use futures::{StreamExt, TryStreamExt, stream};
use sale::Taken;
use stock::{Release, Seen, Truth, UnitState};
use store::{Claim, Holder};
use tracing::field;

use crate::{AppState, Summary, spike::Sweep};
use finding::{Finding, finding};

/// How many units are compared at a time; one Redis script reads them.
const CHUNK: u32 = 1_000;
const REPAIRS_AT_ONCE: usize = 8;

/// What an audit has found so far.
#[derive(Default)]
struct Found {
    /// Units that differ and are not in flight.
    differing: BTreeSet<Unit>,
    /// Reservations that are no order yet, with the units that Redis shows for them.
    in_flight: BTreeMap<(OrderId, UserId), Vec<Unit>>,
    /// Orders whose claims and units agree, with their buyers.
    settled: HashMap<OrderId, UserId>,
}

/// Orders that were asked for.
#[derive(Default)]
struct Known {
    /// Those that there are.
    orders: Vec<Order>,
    /// Those of which nobody can say anything: whatever is theirs is left alone.
    unreadable: HashSet<OrderId>,
}

/// Compares and repairs the sale, unless somebody else is at it; whether that was done and nothing had to be repaired. The
/// lease is the sweep's until the audit is complete.
pub(crate) async fn audit(
    app: &AppState,
    spike: &Spike,
    sweep: &mut Sweep,
) -> Result<bool, sale::Error> {
    let Some(lease) = app.stock.lease_audit(spike.id).await? else {
        return Ok(false);
    };
    sweep.lease = Some(lease.started_at);
    let repaired_before = sweep.summary.repaired;
    let mut found = Found::default();
    for first in (1..=spike.top).step_by(CHUNK as usize) {
        let last = spike.top.min(first + CHUNK - 1);
        let claims = app.store.claims(spike.id, first, last).await?;
        let Some(states) = app.stock.units(spike.id, first, last).await? else {
            return Ok(false); // Redis has lost the sale; the next run loads it.
        };
        let suspects = suspects(first, &states, &claims);
        found.settled.extend(
            claims
                .iter()
                .filter(|claim| !suspects.contains(claim.unit))
                .filter_map(order_of),
        );
        if !suspects.is_empty() {
            let summary = &mut sweep.summary;
            repair(app, spike, (first, last), &suspects, &mut found, summary).await?;
        }
    }
    put_back(app, spike.id, &found.in_flight, &mut sweep.summary).await?;
    let marked = forget_ended_buyers(app, spike.id, &found.settled, &mut sweep.summary).await?;
    found.settled.retain(|order, _| !marked.contains(order));
    remember_buyers(app, spike.id, found.settled, &mut sweep.summary).await?;
    let differing: Units = found.differing.into_iter().collect();
    count_incidents(spike.id, &differing, &lease.differed, &mut sweep.summary);
    app.stock
        .audited(spike.id, lease.started_at, &differing)
        .await?;
    sweep.lease = None;
    sweep.summary.audited += 1;
    Ok(sweep.summary.repaired == repaired_before)
}

/// Whether an order of the spike still waits for its payment, or cannot be read.
pub(crate) async fn has_open_orders(app: &AppState, spike: &Spike) -> Result<bool, sale::Error> {
    for first in (1..=spike.top).step_by(CHUNK as usize) {
        let last = spike.top.min(first + CHUNK - 1);
        let claims = app.store.claims(spike.id, first, last).await?;
        let known = orders(app, spike.id, claims.iter().filter_map(order_of)).await?;
        let is_open = |order: &Order| order.state == OrderState::Placed;
        if known.orders.iter().any(is_open) || !known.unreadable.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The units about which store and Redis do not plainly agree.
fn suspects(first: Unit, states: &[UnitState], claims: &[Claim]) -> Units {
    let mut claims = claims.iter().peekable();
    let mut suspects = Vec::new();
    for (unit, state) in (first..).zip(states) {
        let claim = claims.next_if(|claim| claim.unit == unit);
        if !finding::agree(claim.map(|claim| claim.holder), state) {
            suspects.push(unit);
        }
    }
    suspects.into_iter().collect()
}

/// Reads the suspects again, with the orders behind them, and repairs what still differs.
///
/// The claims are read first: what is bought in between is claimed after Redis shows it, and so looks like a reservation
/// whose order is there already, which is no difference. The other way round it would look like a unit on offer.
async fn repair(
    app: &AppState,
    spike: &Spike,
    (first, last): (Unit, Unit),
    suspects: &Units,
    found: &mut Found,
    summary: &mut Summary,
) -> Result<(), sale::Error> {
    let claims = app.store.claims_on(spike.id, suspects).await?;
    let Some(states) = app.stock.units(spike.id, first, last).await? else {
        return Ok(());
    };
    let state = |unit: Unit| states.get(usize::try_from(unit - first).ok()?);
    let holders = suspects.iter().filter_map(|unit| held_by(state(unit)?));
    let claimed = claims.iter().filter_map(order_of);
    let known = orders(app, spike.id, holders.chain(claimed)).await?;
    let mut findings: Vec<(Unit, Finding)> = Vec::new();
    for unit in suspects.iter() {
        let Some(state) = state(unit) else { continue };
        let claim = claims.iter().find(|claim| claim.unit == unit);
        let unreadable = |it: Option<(OrderId, UserId)>| {
            it.is_some_and(|(id, _)| known.unreadable.contains(&id))
        };
        if unreadable(held_by(state)) || unreadable(claim.and_then(order_of)) {
            continue;
        }
        match finding(unit, claim.map(|claim| claim.holder), state, &known.orders) {
            Finding::Agrees => {}
            Finding::InFlight { order_id, user_id } => {
                let units = found.in_flight.entry((order_id, user_id)).or_default();
                units.push(unit);
            }
            differs => {
                found.differing.insert(unit);
                findings.push((unit, differs));
            }
        }
    }
    let repaired = stream::iter(findings)
        .map(|(unit, finding)| apply(app, spike.id, unit, finding))
        .buffer_unordered(REPAIRS_AT_ONCE)
        .try_fold(0, |sum, done| async move { Ok(sum + u32::from(done)) });
    summary.repaired += repaired.await?;
    Ok(())
}

/// Acts on a finding; whether that changed anything.
async fn apply(
    app: &AppState,
    spike_id: SpikeId,
    unit: Unit,
    finding: Finding,
) -> Result<bool, sale::Error> {
    let one: Units = [unit].into_iter().collect();
    let repaired = match &finding {
        Finding::Agrees | Finding::InFlight { .. } => false,
        Finding::Offer => app.stock.offer(spike_id, 0, &one).await? > 0,
        Finding::Release {
            order_id,
            user_id,
            keep,
        } => {
            let (order_id, user_id) = (*order_id, *user_id);
            let release = Release {
                spike_id,
                order_id,
                user_id,
                units: &one,
                keep,
            };
            !app.stock.release(&release).await?.is_nothing()
        }
        Finding::Learn { truth, seen } => app.stock.learn(spike_id, unit, truth, *seen, 0).await?,
        Finding::Retire => {
            let taken = sale::retire_unit(app.store.as_ref(), &app.stock, spike_id, unit).await?;
            match taken {
                Taken::Retired | Taken::GivenBack => true,
                Taken::Anothers { learned, .. } => learned,
                Taken::RetiredBefore | Taken::Undecided => false,
            }
        }
    };
    if repaired {
        observe::REPAIRED.add(1, [&finding.as_str(), &spike_id]);
        let (order_id, user_id) = finding.whose().unzip();
        tracing::warn!(
            spike.id = %spike_id, unit, difference = finding.as_str(), ?finding,
            order.id = order_id.map(field::display), user.id = user_id.map(field::display),
            "difference repaired"
        );
    }
    Ok(repaired)
}

/// Puts reservations in flight back into `pending` of which nothing is there: one entry each, with all their units.
async fn put_back(
    app: &AppState,
    spike_id: SpikeId,
    in_flight: &BTreeMap<(OrderId, UserId), Vec<Unit>>,
    summary: &mut Summary,
) -> Result<(), sale::Error> {
    if in_flight.is_empty() {
        return Ok(());
    }
    let pending = app.stock.pending_ids(spike_id).await?;
    let missing = in_flight
        .iter()
        .filter(|((order_id, _), _)| !pending.contains(order_id));
    for ((order_id, user_id), units) in missing {
        let (order_id, user_id) = (*order_id, *user_id);
        // The buyer's mark names units that are another's by now too: the writer finds that out, and replaces them.
        let hold = app.stock.hold(spike_id, user_id).await?;
        let hold = hold.filter(|hold| hold.order_id == order_id);
        let event = OrderPlaced {
            order_id,
            spike_id,
            user_id,
            units: hold.map_or_else(|| units.iter().copied().collect(), |hold| hold.units),
        };
        if app.stock.put_pending(&event).await? {
            summary.repaired += 1;
            observe::REPAIRED.add(1, [&"not-pending", &spike_id]);
            tracing::warn!(
                spike.id = %spike_id, order.id = %order_id, user.id = %user_id, "a reservation is pending again"
            );
        }
    }
    Ok(())
}

/// Removes buyers whose order has ended, so that they can buy again; which orders are marked as a buyer's.
async fn forget_ended_buyers(
    app: &AppState,
    spike_id: SpikeId,
    settled: &HashMap<OrderId, UserId>,
    summary: &mut Summary,
) -> Result<HashSet<OrderId>, sale::Error> {
    let (mut marked, mut cursor) = (HashSet::new(), None);
    loop {
        let page = app.stock.buyers_page(spike_id, cursor).await?;
        marked.extend(page.holds.iter().map(|(_, order, _)| *order));
        let unsure: Vec<_> = page
            .holds
            .into_iter()
            .filter(|(_, order, _)| !settled.contains_key(order))
            .collect();
        let named = unsure.iter().map(|(user, order, _)| (*order, *user));
        let known = orders(app, spike_id, named).await?;
        for (user_id, order_id, units) in unsure {
            if known
                .orders
                .iter()
                .any(|order| order.id == order_id && !order.state.is_live())
            {
                let keep = &Units::none();
                let release = Release {
                    spike_id,
                    order_id,
                    user_id,
                    units: &units,
                    keep,
                };
                if app.stock.release(&release).await?.is_nothing() {
                    continue; // Somebody else has just done it.
                }
                summary.repaired += 1;
                observe::REPAIRED.add(1, [&"ended-buyer", &spike_id]);
                tracing::warn!(
                    spike.id = %spike_id, order.id = %order_id, user.id = %user_id, "ended order forgotten in Redis"
                );
            }
        }
        if page.next.is_none() {
            return Ok(marked);
        }
        cursor = page.next;
    }
}

/// Marks the buyers of live orders that Redis shows on their units only: without the mark they would be sold a second
/// order, which ends as rejected.
async fn remember_buyers(
    app: &AppState,
    spike_id: SpikeId,
    unmarked: HashMap<OrderId, UserId>,
    summary: &mut Summary,
) -> Result<(), sale::Error> {
    let known = orders(app, spike_id, unmarked.into_iter()).await?;
    for order in known.orders.iter().filter(|order| order.state.is_live()) {
        let seen = Some(Seen::Order(order.id));
        let unit = order.units.highest();
        if app
            .stock
            .learn(spike_id, unit, &Truth::of(order), seen, 0)
            .await?
        {
            summary.repaired += 1;
            observe::REPAIRED.add(1, [&"forgotten-buyer", &spike_id]);
            tracing::warn!(
                spike.id = %spike_id, order.id = %order.id, user.id = %order.user_id, "a buyer is known in Redis again"
            );
        }
    }
    Ok(())
}

/// A unit that differed in the audit before, whoever made it, and differs again is something that no repair mends.
fn count_incidents(spike_id: SpikeId, differing: &Units, before: &Units, summary: &mut Summary) {
    for unit in differing.iter().filter(|unit| before.contains(*unit)) {
        summary.incidents += 1;
        observe::INCIDENTS.add(1, [&"difference-again", &spike_id]);
        tracing::error!(spike.id = %spike_id, unit, "incident: a repaired difference is there again");
    }
}

/// The orders of these ids, which are said to be these users'. One that cannot be read is logged, and hides none of the
/// others.
async fn orders(
    app: &AppState,
    spike_id: SpikeId,
    named: impl Iterator<Item = (OrderId, UserId)>,
) -> Result<Known, sale::Error> {
    let named: HashMap<OrderId, UserId> = named.collect();
    let mut known = Known::default();
    if named.is_empty() {
        return Ok(known);
    }
    let ids: Vec<OrderId> = named.keys().copied().collect();
    match app.store.orders(&ids).await {
        Ok(orders) => known.orders = orders,
        Err(store::Error::Corrupt(_)) => {
            for (id, user_id) in named {
                match app.store.order(id).await {
                    Ok(order) => known.orders.extend(order),
                    Err(error @ store::Error::Corrupt(_)) => {
                        observe::INCIDENTS.add(1, [&"unreadable-order", &spike_id]);
                        tracing::error!(
                            order.id = %id, spike.id = %spike_id, user.id = %user_id, %error,
                            "unreadable, and left alone"
                        );
                        known.unreadable.insert(id);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(known)
}

fn order_of(claim: &Claim) -> Option<(OrderId, UserId)> {
    match claim.holder {
        Holder::Order { order_id, user_id } => Some((order_id, user_id)),
        Holder::House => None,
    }
}

fn held_by(state: &UnitState) -> Option<(OrderId, UserId)> {
    match state {
        UnitState::Held {
            order_id, user_id, ..
        } => Some((*order_id, *user_id)),
        UnitState::OnOffer | UnitState::House | UnitState::Missing => None,
    }
}
