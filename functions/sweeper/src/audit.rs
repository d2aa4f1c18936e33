//! Auditing a sale: the store's claims and Redis' units, compared as sets and repaired unit by unit.
//!
//! A first pass over all units finds those that differ; each is then read again, with the orders behind it, before
//! anything is written. Every write compares what Redis shows at that moment, so a purchase, a cancellation or another
//! audit in between makes the write do nothing.

mod finding;

use std::collections::HashSet;

use domain::{Order, OrderId, OrderPlaced, OrderState, Spike, SpikeId, Unit, Units};
use futures::{StreamExt, TryStreamExt, stream};
use stock::{Release, UnitState};
use store::{Claim, Holder};

use crate::{AppState, Summary};
use finding::{Finding, finding};

/// How many units are compared at a time; one Redis script reads them.
const CHUNK: u32 = 1_000;
const REPAIRS_AT_ONCE: usize = 8;

/// Compares and repairs the sale, unless somebody else is at it.
pub(crate) async fn audit(
    app: &AppState,
    spike: &Spike,
    summary: &mut Summary,
) -> Result<(), sale::Error> {
    let Some(started_at) = app.stock.lease_audit(spike.id).await? else {
        return Ok(());
    };
    let mut differing = HashSet::new();
    let mut settled = HashSet::new();
    for first in (1..=spike.top).step_by(CHUNK as usize) {
        let last = spike.top.min(first + CHUNK - 1);
        let Some(states) = app.stock.units(spike.id, first, last).await? else {
            return Ok(()); // Redis has lost the sale; the next run loads it.
        };
        let claims = app.store.claims(spike.id, first, last).await?;
        let suspects = suspects(first, &states, &claims);
        settled.extend(
            claims
                .iter()
                .filter(|claim| !suspects.contains(claim.unit))
                .filter_map(order_of),
        );
        if !suspects.is_empty() {
            repair(
                app,
                spike,
                (first, last),
                &suspects,
                &mut differing,
                summary,
            )
            .await?;
        }
    }
    forget_ended_buyers(app, spike.id, &settled, summary).await?;
    count_incidents(app, spike.id, differing, summary);
    app.stock.audited(spike.id, started_at).await?;
    summary.audited += 1;
    Ok(())
}

/// Whether an order of the spike still waits for its payment.
pub(crate) async fn has_open_orders(app: &AppState, spike: &Spike) -> Result<bool, sale::Error> {
    for first in (1..=spike.top).step_by(CHUNK as usize) {
        let last = spike.top.min(first + CHUNK - 1);
        let claims = app.store.claims(spike.id, first, last).await?;
        let orders = orders(app, claims.iter().filter_map(order_of)).await?;
        if orders.iter().any(|order| order.state == OrderState::Placed) {
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
async fn repair(
    app: &AppState,
    spike: &Spike,
    (first, last): (Unit, Unit),
    suspects: &Units,
    differing: &mut HashSet<Unit>,
    summary: &mut Summary,
) -> Result<(), sale::Error> {
    let Some(states) = app.stock.units(spike.id, first, last).await? else {
        return Ok(());
    };
    let claims = app.store.claims_on(spike.id, suspects).await?;
    let holders = states.iter().filter_map(|state| match state {
        UnitState::Held { order_id, .. } => Some(*order_id),
        UnitState::OnOffer | UnitState::House | UnitState::Missing => None,
    });
    let claimed = claims.iter().filter_map(order_of);
    let orders = orders(app, holders.chain(claimed)).await?;
    let surplus = spike.live_units() > spike.settings.stock;
    let findings: Vec<(Unit, Finding)> = suspects
        .iter()
        .filter_map(|unit| {
            let state = states.get(usize::try_from(unit - first).ok()?)?;
            let claim = claims
                .iter()
                .find(|claim| claim.unit == unit)
                .map(|claim| claim.holder);
            Some((unit, finding(unit, claim, state, &orders, surplus)))
        })
        .collect();
    let differs =
        |finding: &Finding| !matches!(finding, Finding::Agrees | Finding::InFlight { .. });
    differing.extend(
        findings
            .iter()
            .filter(|(_, finding)| differs(finding))
            .map(|(unit, _)| *unit),
    );
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
        Finding::Agrees => false,
        Finding::InFlight { order_id, user_id } => {
            let hold = app.stock.hold(spike_id, *user_id).await?;
            let hold = hold.filter(|hold| hold.order_id == *order_id);
            let units = hold.map_or(one, |hold| hold.units);
            let event = OrderPlaced {
                order_id: *order_id,
                spike_id,
                user_id: *user_id,
                units,
            };
            app.stock.put_pending(&event).await?
        }
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
            app.stock.release(&release).await? > 0
        }
        Finding::Learn { truth, seen } => app.stock.learn(spike_id, unit, truth, *seen, 0).await?,
        Finding::Retire => {
            sale::retire_unit(app.store.as_ref(), &app.stock, spike_id, unit).await?
        }
        Finding::Unretire => app.stock.unretire(spike_id, &one).await? > 0,
    };
    if repaired {
        tracing::warn!(spike.id = %spike_id, unit, ?finding, "difference repaired");
    }
    Ok(repaired)
}

/// Removes buyers whose order has ended, so that they can buy again.
async fn forget_ended_buyers(
    app: &AppState,
    spike_id: SpikeId,
    settled: &HashSet<OrderId>,
    summary: &mut Summary,
) -> Result<(), sale::Error> {
    let mut cursor = None;
    loop {
        let page = app.stock.buyers_page(spike_id, cursor).await?;
        let unsure: Vec<_> = page
            .holds
            .into_iter()
            .filter(|(_, order, _)| !settled.contains(order))
            .collect();
        let orders = orders(app, unsure.iter().map(|(_, order, _)| *order)).await?;
        for (user_id, order_id, units) in unsure {
            if orders
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
                app.stock.release(&release).await?;
                summary.repaired += 1;
                tracing::warn!(spike.id = %spike_id, order.id = %order_id, "ended order forgotten in Redis");
            }
        }
        if page.next.is_none() {
            return Ok(());
        }
        cursor = page.next;
    }
}

/// A unit that differed in the audit before, and differs again, is something that no repair mends.
fn count_incidents(
    app: &AppState,
    spike_id: SpikeId,
    differing: HashSet<Unit>,
    summary: &mut Summary,
) {
    let mut differed = app
        .differed
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let before = differed.remove(&spike_id).unwrap_or_default();
    for unit in differing.intersection(&before) {
        summary.incidents += 1;
        tracing::error!(spike.id = %spike_id, unit, "incident: a repaired difference is there again");
    }
    if !differing.is_empty() {
        differed.insert(spike_id, differing);
    }
}

async fn orders(
    app: &AppState,
    ids: impl Iterator<Item = OrderId>,
) -> Result<Vec<Order>, sale::Error> {
    let ids: HashSet<OrderId> = ids.collect();
    let ids: Vec<OrderId> = ids.into_iter().collect();
    Ok(if ids.is_empty() {
        Vec::new()
    } else {
        app.store.orders(&ids).await?
    })
}

fn order_of(claim: &Claim) -> Option<OrderId> {
    match claim.holder {
        Holder::Order { order_id, .. } => Some(order_id),
        Holder::House => None,
    }
}
