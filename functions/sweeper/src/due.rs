//! Orders with something to do: placed ones past `pay_by` expire, or are paid if their money has come; ended ones get their
//! release and the record of their money finished.

use std::time::Duration;

use domain::{Order, OrderState, Timestamp};
use futures::{StreamExt, stream};
use store::Transitioned;

use crate::{AppState, Summary};

/// How many orders one run settles; the rest is the next run's.
const MOST_A_RUN: u32 = 1_000;
/// Most of the time of each is spent waiting for the payment provider.
const ORDERS_AT_ONCE: usize = 32;
/// How long the end of an order may be under way before somebody must have left it behind.
const UNDER_WAY: Duration = Duration::from_secs(5);

/// Settles what is due by Redis' clock, the clock that `pay_by` was set by.
///
/// An order that the store cannot end, because it lacks what it should hold, stays as it is and is an incident of every run:
/// somebody has to look at it.
pub(crate) async fn settle(app: &AppState, summary: &mut Summary) -> Result<(), sale::Error> {
    let due = app.store.due(app.stock.now(), MOST_A_RUN).await?;
    let mut settled = stream::iter(due)
        .map(|order| async move {
            let outcome = settle_order(app, &order).await;
            (order, outcome)
        })
        .buffer_unordered(ORDERS_AT_ONCE);
    while let Some((order, outcome)) = settled.next().await {
        match outcome {
            Ok(one) => *summary += one,
            Err(sale::Error::Store(error)) if matches!(*error, store::Error::Corrupt(_)) => {
                summary.incidents += 1;
                observe::INCIDENTS.add(1, [&"unsettled", &order.spike_id]);
                tracing::error!(
                    order.id = %order.id, spike.id = %order.spike_id, user.id = %order.user_id, %error,
                    "incident: an order that is due cannot be settled"
                );
            }
            Err(error) => tracing::warn!(
                order.id = %order.id, spike.id = %order.spike_id, user.id = %order.user_id, %error,
                "left to the next run"
            ),
        }
    }
    Ok(())
}

async fn settle_order(app: &AppState, order: &Order) -> Result<Summary, sale::Error> {
    let (store, stock) = (app.store.as_ref(), &app.stock);
    let (payments, now) = (app.payments.as_ref(), stock.now());
    let mut summary = Summary::default();
    match order.state {
        OrderState::Placed => {
            let ended = sale::expire_order(store, stock, payments, order.id, now).await?;
            if let Transitioned::Done(order) = ended {
                summary.paid = u32::from(order.state == OrderState::Paid);
                summary.expired = u32::from(order.state == OrderState::Expired);
            }
        }
        OrderState::Paid => {}
        OrderState::Cancelled | OrderState::Expired => {
            let finished = sale::finish_end(store, stock, payments, order, now).await?;
            summary.released = u32::from(finished);
        }
        OrderState::Rejected => {
            sale::finish_release(store, stock, order).await?;
            summary.released = 1;
        }
    }
    if summary.released > 0 {
        report_left_behind(order, now);
    }
    Ok(summary)
}

/// Tells of an end that somebody died over, or could not finish. One that is under way is ordinary.
fn report_left_behind(order: &Order, now: Timestamp) {
    let ended_before = order.ended_at.map(|at| now.since(at)).unwrap_or_default();
    if ended_before >= UNDER_WAY {
        observe::REPAIRED.add(1, [&"not-released", &order.spike_id]);
        tracing::warn!(
            order.id = %order.id, spike.id = %order.spike_id, user.id = %order.user_id, units = %order.units,
            state = order.state.as_str(), "an order's end that was left behind is finished"
        );
    }
}
