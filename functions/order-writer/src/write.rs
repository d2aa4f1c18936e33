//! From a reservation to an order: the store decides, Redis learns.

use domain::{Order, OrderId, OrderPlaced, RejectReason, Spike, Units};
use sale::{LoadOutcome, Loadable};
use stock::{Reassigned, Release, Seen, Truth};
use store::{Claim, Holder, Placement, Rejection};

use crate::{AppState, Error, ack};

/// How often one delivery tries other units before it lets the event come again.
const ROUNDS: u32 = 3;
/// How long nobody can buy after a conflict, so that Redis hands out fewer units that are another's.
const HEALING_MS: u64 = 1_000;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The order was written.
    Placed,
    /// It was there before.
    Before,
    /// A rejected order was written.
    Rejected(RejectReason),
}

impl Written {
    /// As it is counted.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Before => "before",
            Self::Rejected(_) => "rejected",
        }
    }
}

/// Writes the order of `event`, with other units where its own are another's.
pub(crate) async fn write(app: &AppState, mut event: OrderPlaced) -> Result<Written, Error> {
    let spike = match app.catalog.spike(event.spike_id).await? {
        Some(spike) => spike,
        None => app
            .catalog
            .fresh(event.spike_id)
            .await?
            .ok_or(Error::UnknownSpike(event.spike_id))?,
    };
    for _ in 0..ROUNDS {
        let taken = match place(app, &spike, &event).await? {
            Placement::Written => {
                failpoint::pass("order-writer.acked");
                return Ok(Written::Placed);
            }
            Placement::Exists(order) => {
                settle(app, &event, &order).await;
                return Ok(Written::Before);
            }
            Placement::BuyerHas(other) => {
                let written = reject(app, &spike, &event, RejectReason::Limit).await?;
                learn_order(app, other).await;
                return Ok(written);
            }
            Placement::UnitsTaken(taken) => taken,
        };
        let taken = learn_taken(app, &event, &taken).await?;
        failpoint::pass("order-writer.learned");
        if taken.is_empty() {
            continue;
        }
        match reassign(app, &event, &taken).await? {
            Some(units) => {
                failpoint::pass("order-writer.reassigned");
                event.units = units;
            }
            None => return reject(app, &spike, &event, RejectReason::SoldOut).await,
        }
    }
    Err(Error::Contended)
}

/// Tries to write the order, and if it does, acknowledges the event. A unit above `top` is a conflict like any other: it does
/// not exist.
async fn place(app: &AppState, spike: &Spike, event: &OrderPlaced) -> Result<Placement, Error> {
    // `top` only grows, so a remembered spike can only be too careful.
    let mut top = spike.top;
    if event.units.highest() > top {
        top = app
            .catalog
            .fresh(event.spike_id)
            .await?
            .map_or(0, |spike| spike.top);
    }
    let above = event.units.iter().filter(|unit| *unit > top);
    let above: Vec<Claim> = above
        .map(|unit| Claim {
            unit,
            holder: Holder::House,
        })
        .collect();
    if above.is_empty() {
        let order = Order::placed(
            event,
            spike.settings.price,
            app.stock.now(),
            spike.pay_within(),
        );
        failpoint::pass("order-writer.read");
        return Ok(app.batch.place(order, event.clone()).await?);
    }
    // The order may have been written with other units by an earlier delivery.
    Ok(match app.store.order(event.order_id).await? {
        Some(order) => Placement::Exists(Box::new(order)),
        None => Placement::UnitsTaken(above),
    })
}

/// The order was written before: gives back those units of the event that it does not hold.
async fn settle(app: &AppState, event: &OrderPlaced, order: &Order) {
    let keep = if order.state.is_live() {
        order.units.clone()
    } else {
        Units::none()
    };
    let give = event.units.without(&keep);
    if give.is_empty() {
        return ack::one(&app.stock, event).await;
    }
    let release = Release {
        spike_id: event.spike_id,
        order_id: event.order_id,
        user_id: event.user_id,
        units: &give,
        keep: &keep,
    };
    match app.stock.release(&release).await {
        Ok(released) => {
            if !released.is_nothing() {
                observe::REPAIRED.add(1, [&"not-released", &event.spike_id]);
                tracing::warn!(
                    order.id = %order.id, spike.id = %order.spike_id, user.id = %order.user_id, units = %give,
                    offered = released.offered, "units that the order does not hold are given back"
                );
            }
            ack::one(&app.stock, event).await;
        }
        Err(error) => tracing::warn!(
            order.id = %order.id, spike.id = %order.spike_id, user.id = %order.user_id, %error,
            "release left to the sweeper"
        ),
    }
}

/// Writes the rejected order, then gives back what Redis still shows for it.
async fn reject(
    app: &AppState,
    spike: &Spike,
    event: &OrderPlaced,
    reason: RejectReason,
) -> Result<Written, Error> {
    let order = Order::rejected(event, reason, spike.settings.price, app.stock.now());
    match app.store.reject(&order).await? {
        Rejection::Written => {
            observe::REJECTED.add(1, [&reason.as_str(), &order.spike_id]);
            tracing::warn!(
                order.id = %order.id, spike.id = %order.spike_id, user.id = %order.user_id, reason = reason.as_str(),
                "order rejected"
            );
            failpoint::pass("order-writer.rejected");
            if let Err(error) = sale::finish_release(app.store.as_ref(), &app.stock, &order).await {
                tracing::warn!(
                    order.id = %order.id, spike.id = %order.spike_id, user.id = %order.user_id, %error,
                    "release left to the sweeper"
                );
            }
            ack::one(&app.stock, event).await;
            Ok(Written::Rejected(reason))
        }
        Rejection::Exists(there) => {
            settle(app, event, &there).await;
            Ok(Written::Before)
        }
    }
}

/// Tells Redis who holds the units that this reservation could not have; which of them are really another's.
///
/// A holder whose order has just ended is none: the unit is free, and the next round gets it.
async fn learn_taken(app: &AppState, event: &OrderPlaced, taken: &[Claim]) -> Result<Units, Error> {
    let holders: Vec<OrderId> = taken
        .iter()
        .filter_map(|claim| order_of(claim.holder))
        .collect();
    let orders = app.store.orders(&holders).await?;
    let mut anothers = Vec::new();
    for claim in taken {
        let truth = match order_of(claim.holder) {
            None => Truth::Retired,
            Some(id) => match orders
                .iter()
                .find(|order| order.id == id && order.state.is_live())
            {
                Some(order) => Truth::of(order),
                None => continue,
            },
        };
        observe::CONFLICTS.add(1, [&event.spike_id]);
        tracing::warn!(
            spike.id = %event.spike_id, unit = claim.unit, order.id = %event.order_id, user.id = %event.user_id,
            holder = ?claim.holder,
            "unit conflict: Redis handed out a unit that is another's"
        );
        let seen = Some(Seen::Order(event.order_id));
        app.stock
            .learn(event.spike_id, claim.unit, &truth, seen, HEALING_MS)
            .await?;
        anothers.push(claim.unit);
    }
    Ok(anothers.into_iter().collect())
}

fn order_of(holder: Holder) -> Option<OrderId> {
    match holder {
        Holder::Order { order_id, .. } => Some(order_id),
        Holder::House => None,
    }
}

/// Other units in place of the taken ones; none if the spike is sold out.
async fn reassign(
    app: &AppState,
    event: &OrderPlaced,
    taken: &Units,
) -> Result<Option<Units>, Error> {
    let mut reassigned = app.stock.reassign(event, taken).await?;
    if reassigned == Reassigned::NotLoaded {
        let store = app.store.as_ref();
        match sale::load(store, &app.stock, event.spike_id, Loadable::Ended).await? {
            LoadOutcome::Loaded | LoadOutcome::Present => {}
            LoadOutcome::Busy | LoadOutcome::Ended | LoadOutcome::Unknown => {
                return Err(Error::Loading);
            }
        }
        reassigned = app.stock.reassign(event, taken).await?;
    }
    match reassigned {
        Reassigned::Units(units) => Ok(Some(units)),
        Reassigned::NotLoaded => Err(Error::Loading),
        Reassigned::SoldOut => {
            report_rejection_on_offer(app, event, taken).await;
            Ok(None)
        }
    }
}

/// Counts what must stay 0: a rejection while enough units are on offer.
async fn report_rejection_on_offer(app: &AppState, event: &OrderPlaced, taken: &Units) {
    if let Ok(Some(sale)) = app.stock.sale(event.spike_id).await
        && sale.left >= taken.quantity()
    {
        observe::REJECTED_ON_OFFER.add(1, [&event.spike_id]);
        tracing::error!(
            order.id = %event.order_id, spike.id = %event.spike_id, user.id = %event.user_id, left = sale.left,
            needed = taken.quantity(), "order rejected while units are on offer"
        );
    }
}

/// Tells Redis of the buyer's live order, so that it replays that one from now on.
async fn learn_order(app: &AppState, id: OrderId) {
    let learned = async {
        let Some(order) = app
            .store
            .order(id)
            .await?
            .filter(|order| order.state.is_live())
        else {
            return Ok::<_, Error>(());
        };
        for unit in order.units.iter() {
            let truth = Truth::of(&order);
            if app
                .stock
                .learn(order.spike_id, unit, &truth, None, 0)
                .await?
            {
                observe::REPAIRED.add(1, [&"holder-unknown", &order.spike_id]);
                tracing::warn!(
                    order.id = %order.id, spike.id = %order.spike_id, user.id = %order.user_id, unit,
                    "Redis did not know the holder of a unit"
                );
            }
        }
        Ok(())
    };
    if let Err(error) = learned.await {
        tracing::warn!(order.id = %id, %error, "the live order is left to the audit");
    }
}
