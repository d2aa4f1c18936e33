//! Ending orders: the store first, then Redis and the payment provider, then the note that nothing is left to do.
//!
//! The note is [`Order::released`]. Until it is made the order is due, so whatever a process that dies here leaves
//! undone is done by the sweeper: units that are not back, and money that nobody has recorded (ADR 22).

use std::{ops::RangeInclusive, time::Duration};

use domain::{
    Order, OrderId, OrderState, Timestamp, Units,
    order::{Payment, Transition},
};
use payments::{NoAnswer, Payments};
use stock::{Release, Stock};
use store::{Store, Transitioned};

use crate::Error;

/// Cancels or expires a placed order, puts its units back on sale and closes it at the payment provider.
///
/// The store decides the race. The rest comes afterwards; if Redis or the provider is away, or the process dies here, the
/// order stays unreleased and the sweeper finishes it. Repeating it for an ended order repeats only what is unfinished.
pub async fn end_order(
    store: &dyn Store,
    stock: &Stock,
    payments: &dyn Payments,
    order_id: OrderId,
    transition: Transition,
    now: Timestamp,
) -> Result<Transitioned, Error> {
    let transitioned = store.end(order_id, transition, now).await?;
    if let Some(order) = unfinished(&transitioned) {
        failpoint::pass("sale.ended");
        if let Err(error) = finish_end(store, stock, payments, order, now).await {
            left_to_the_sweeper(order, &error);
        }
    }
    Ok(transitioned)
}

/// Expires an order that is past `pay_by`, unless its money has come and nobody lived to record it: then it is paid.
///
/// The provider is asked before the order ends, so that a buyer who paid in time keeps what they bought. One that does not
/// answer holds up no unit: the order expires, and its money is asked for until there is an answer.
pub async fn expire_order(
    store: &dyn Store,
    stock: &Stock,
    payments: &dyn Payments,
    order_id: OrderId,
    now: Timestamp,
) -> Result<Transitioned, Error> {
    let charged = payments.close(order_id).await;
    if let Ok(Some(payment)) = &charged
        && let Some(paid) = record(store, order_id, payment).await?
    {
        return Ok(paid);
    }
    let transitioned = store.end(order_id, Transition::Expire, now).await?;
    if let Some(order) = unfinished(&transitioned) {
        failpoint::pass("sale.expired");
        let finished = async {
            give_back(stock, order).await?;
            settle_money(store, order, charged, now).await
        };
        if let Err(error) = finished.await {
            left_to_the_sweeper(order, &error);
        }
    }
    Ok(transitioned)
}

/// Finishes the end of an order that was cancelled or has expired; whether nothing is left to do.
pub async fn finish_end(
    store: &dyn Store,
    stock: &Stock,
    payments: &dyn Payments,
    order: &Order,
    now: Timestamp,
) -> Result<bool, Error> {
    give_back(stock, order).await?;
    let charged = payments.close(order.id).await;
    settle_money(store, order, charged, now).await
}

/// Puts what Redis still shows for a rejected order on offer and notes it in the store; how many units came free. Nobody
/// is charged for an order that was never placed.
pub async fn finish_release(store: &dyn Store, stock: &Stock, order: &Order) -> Result<u32, Error> {
    let released = give_back(stock, order).await?;
    store.mark_released(order.id).await?;
    Ok(released)
}

/// Every unit is compared with its holder in Redis, so a late or repeated call gives nothing back twice.
async fn give_back(stock: &Stock, order: &Order) -> Result<u32, Error> {
    let released = stock
        .release(&Release {
            spike_id: order.spike_id,
            order_id: order.id,
            user_id: order.user_id,
            units: &order.units,
            keep: &Units::none(),
        })
        .await?;
    failpoint::pass("sale.released");
    Ok(released.offered)
}

/// Pays the order with money that somebody else charged; nothing if it has ended meanwhile.
async fn record(
    store: &dyn Store,
    order_id: OrderId,
    payment: &Payment,
) -> Result<Option<Transitioned>, Error> {
    let transitioned = store.pay(order_id, payment).await?;
    if let Transitioned::Done(order) = &transitioned {
        observe::REPAIRED.add(1, [&"not-paid", &order.spike_id]);
        tracing::warn!(
            order.id = %order.id, spike.id = %order.spike_id, user.id = %order.user_id,
            payment.id = payment.payment_id, "money that nobody had recorded pays its order"
        );
    }
    Ok(match &transitioned {
        Transitioned::NotPlaced(order) if order.state != OrderState::Paid => None,
        _ => Some(transitioned),
    })
}

/// For how long a provider that has not answered is not asked about an order again: as long as the order has ended by then,
/// within these bounds.
const ASKED_AGAIN_AFTER: RangeInclusive<Duration> =
    Duration::from_secs(5)..=Duration::from_mins(10);

/// Records what is owed back, then notes that nothing is left to do; whether that is so. Without the provider's word the
/// order is due again later, behind those that can be ended now.
async fn settle_money(
    store: &dyn Store,
    order: &Order,
    charged: Result<Option<Payment>, NoAnswer>,
    now: Timestamp,
) -> Result<bool, Error> {
    match charged {
        Ok(None) => {}
        Ok(Some(payment)) => {
            payments::owe(store, order.id, payment, now).await?;
        }
        Err(error) => {
            tracing::warn!(
                order.id = %order.id, spike.id = %order.spike_id, user.id = %order.user_id, %error,
                "the sweeper asks again whether money has come"
            );
            let ended_for = order.ended_at.map(|at| now.since(at)).unwrap_or_default();
            let wait = ended_for.clamp(*ASKED_AGAIN_AFTER.start(), *ASKED_AGAIN_AFTER.end());
            store.postpone(order.id, now + wait).await?;
            return Ok(false);
        }
    }
    store.mark_released(order.id).await?;
    Ok(true)
}

fn unfinished(transitioned: &Transitioned) -> Option<&Order> {
    match transitioned {
        Transitioned::Done(order) | Transitioned::NotPlaced(order) => {
            (!order.state.is_live() && !order.released).then_some(order)
        }
        Transitioned::Unknown => None,
    }
}

fn left_to_the_sweeper(order: &Order, error: &Error) {
    tracing::warn!(
        order.id = %order.id, spike.id = %order.spike_id, user.id = %order.user_id, %error,
        "the rest of an order's end is left to the sweeper"
    );
}
