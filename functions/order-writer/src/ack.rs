//! Reservations leave `pending` once their orders are durable. What fails here is done by the sweeper, which publishes the
//! events again.

use std::collections::BTreeMap;

use domain::{OrderPlaced, SpikeId};
use futures::future;
use stock::{Error, Stock};

/// Takes out one reservation.
pub(crate) async fn one(stock: &Stock, event: &OrderPlaced) {
    if let Err(error) = stock.ack(event).await {
        left_to_the_sweeper(event, &error);
    }
}

/// Takes out all of them, by one call for each spike.
pub(crate) async fn all(stock: &Stock, written: &BTreeMap<SpikeId, Vec<OrderPlaced>>) {
    let acknowledged = written.iter().map(async |(spike_id, events)| {
        if let Err(error) = stock.ack_all(*spike_id, events).await {
            for event in events {
                left_to_the_sweeper(event, &error);
            }
        }
    });
    future::join_all(acknowledged).await;
}

fn left_to_the_sweeper(event: &OrderPlaced, error: &Error) {
    tracing::warn!(
        order.id = %event.order_id, spike.id = %event.spike_id, user.id = %event.user_id, %error,
        "acknowledgement left to the sweeper"
    );
}
