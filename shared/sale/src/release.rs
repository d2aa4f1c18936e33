//! Giving units back: the store first, then Redis, then the note that Redis has them.

use domain::{Order, OrderId, Timestamp, Units, order::Transition};
use stock::{Release, Stock};
use store::{Store, Transitioned};

use crate::Error;

/// Cancels or expires a placed order and puts its units back on sale.
///
/// The store decides the race. Redis is told afterwards; if it is away, or the process dies here, the order stays
/// unreleased and the sweeper finishes it. Repeating it for an ended order repeats only what is unfinished.
pub async fn end_order(
    store: &dyn Store,
    stock: &Stock,
    order_id: OrderId,
    transition: Transition,
    now: Timestamp,
) -> Result<Transitioned, Error> {
    let transitioned = store.end(order_id, transition, now).await?;
    if let Transitioned::Done(order) | Transitioned::NotPlaced(order) = &transitioned
        && !order.state.is_live()
        && !order.released
    {
        failpoint::pass("sale.ended");
        if let Err(error) = finish_release(store, stock, order).await {
            tracing::warn!(order.id = %order.id, %error, "release left to the sweeper");
        }
    }
    Ok(transitioned)
}

/// Puts what Redis still shows for an ended order on offer and notes it in the store; how many units came free.
///
/// Every unit is compared with its holder in Redis, so a late or repeated call gives nothing back twice.
pub async fn finish_release(store: &dyn Store, stock: &Stock, order: &Order) -> Result<u32, Error> {
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
    store.mark_released(order.id).await?;
    Ok(released)
}
