//! Orders with something to do: placed ones past `pay_by` expire, or are paid if their money has come; ended ones get their
//! release and the record of their money finished.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use domain::{Money, Order, OrderId, OrderState, Timestamp, order::Payment};
use futures::{StreamExt, stream};
use payments::{ChargeError, Method, NoAnswer, Payments};
use store::Transitioned;

use crate::{AppState, Summary};

/// How many orders one run settles; the rest is the next run's.
const MOST_A_RUN: u32 = 1_000;
/// Most of the time of each is spent waiting for the payment provider.
const ORDERS_AT_ONCE: usize = 32;
/// How long the end of an order may be under way before somebody must have left it behind.
const UNDER_WAY: Duration = Duration::from_secs(5);

/// After so many questions in a row without an answer the provider is away, and is not asked again in this run.
const MOST_UNANSWERED: u32 = 8;

/// A payment provider that is asked no more once it is away. Orders end all the same, and what they are owed is found out by
/// a later run (ADR 27).
struct WhileItAnswers<'a> {
    payments: &'a dyn Payments,
    unanswered: AtomicU32,
}

#[async_trait]
impl Payments for WhileItAnswers<'_> {
    async fn charge(
        &self,
        order_id: OrderId,
        total: Money,
        method: Method,
    ) -> Result<Payment, ChargeError> {
        self.payments.charge(order_id, total, method).await
    }

    async fn close(&self, order_id: OrderId) -> Result<Option<Payment>, NoAnswer> {
        if self.unanswered.load(Ordering::Relaxed) >= MOST_UNANSWERED {
            return Err(NoAnswer("it is away, and was not asked".into()));
        }
        let closed = self.payments.close(order_id).await;
        if closed.is_ok() {
            self.unanswered.store(0, Ordering::Relaxed);
        } else {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
        }
        closed
    }
}

/// Settles what is due by Redis' clock, the clock that `pay_by` was set by.
///
/// An order that the store cannot end, because it lacks what it should hold, stays as it is and is an incident of every run:
/// somebody has to look at it.
pub(crate) async fn settle(app: &AppState, summary: &mut Summary) -> Result<(), sale::Error> {
    let due = app.store.due(app.stock.now(), MOST_A_RUN).await?;
    let payments = &WhileItAnswers {
        payments: app.payments.as_ref(),
        unanswered: AtomicU32::new(0),
    };
    let mut settled = stream::iter(due)
        .map(|order| async move {
            let outcome = settle_order(app, payments, &order).await;
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

async fn settle_order(
    app: &AppState,
    payments: &dyn Payments,
    order: &Order,
) -> Result<Summary, sale::Error> {
    let (store, stock, now) = (app.store.as_ref(), &app.stock, app.stock.now());
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
