//! Step 7: the event of a reservation.

use std::time::Duration;

use domain::OrderPlaced;
use events::{EventSink, SendError};

/// How long a buyer waits for the broker's acknowledgement, whatever the adapter does.
///
/// An adapter gives up after one second by itself; this is a little longer, so that it can take note of the silence.
const DEADLINE: Duration = Duration::from_millis(1_100);

/// Sends the event; whether the broker has acknowledged it.
///
/// Nothing is given back when it has not, whatever the reason: nobody knows what the broker keeps. The reservation stays
/// pending, so the buyer's next try and the sweeper send the same event again.
pub(crate) async fn publish(sink: &dyn EventSink, placed: &OrderPlaced) -> bool {
    let sent = tokio::time::timeout(DEADLINE, sink.send(std::slice::from_ref(placed))).await;
    match sent.map(|answers| answers.into_iter().next()) {
        Ok(Some(Ok(()))) => {
            observe::PUBLISHED.add(1, [&"buyer", &"acked"]);
            true
        }
        Ok(Some(Err(error))) => {
            let refused = matches!(error, SendError::Refused(_));
            let outcome = if refused { "refused" } else { "unconfirmed" };
            observe::PUBLISHED.add(1, [&"buyer", &outcome]);
            tracing::warn!(
                order.id = %placed.order_id, spike.id = %placed.spike_id, user.id = %placed.user_id, %error,
                "not published"
            );
            false
        }
        Ok(None) | Err(_) => {
            observe::PUBLISHED.add(1, [&"buyer", &"unconfirmed"]);
            tracing::warn!(
                order.id = %placed.order_id, spike.id = %placed.spike_id, user.id = %placed.user_id,
                "no answer from the broker"
            );
            false
        }
    }
}
