//! Publishing what is pending: reservations that are not known to be durable.

use std::time::Duration;

use domain::{OrderPlaced, SpikeId};

use crate::AppState;

/// How many events one call hands to the broker.
const AT_ONCE: u32 = 100;
/// How many rounds one run makes; the rest is the next run's.
const ROUNDS: usize = 50;
/// Pending for longer than this is an alarm.
const ALARM_AFTER: Duration = Duration::from_hours(1);

/// Publishes the pending reservations whose time has come; how many the broker took.
///
/// Each was moved on in Redis before it is published here, so two sweepers rarely publish the same one, and a refusal
/// is repeated later. Publishing one twice is harmless.
pub(crate) async fn publish_due(app: &AppState, spike_id: SpikeId) -> Result<u32, sale::Error> {
    let mut published = 0;
    for _ in 0..ROUNDS {
        let due = app.stock.take_due(spike_id, AT_ONCE).await?;
        for late in due.iter().filter(|due| due.age > ALARM_AFTER) {
            tracing::error!(
                order.id = %late.event.order_id, spike.id = %spike_id, age_secs = late.age.as_secs(),
                "a reservation is still not an order"
            );
        }
        let events: Vec<OrderPlaced> = due.into_iter().map(|due| due.event).collect();
        if events.is_empty() {
            break;
        }
        for (event, sent) in events.iter().zip(app.sink.send(&events).await) {
            match sent {
                Ok(()) => published += 1,
                Err(error) => {
                    tracing::warn!(order.id = %event.order_id, %error, "publishing is left to a later run");
                }
            }
        }
        if events.len() < AT_ONCE as usize {
            break;
        }
    }
    Ok(published)
}
