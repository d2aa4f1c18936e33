//! Publishing what is pending: reservations that are not known to be durable.

use std::{collections::HashSet, time::Duration};

use domain::{OrderPlaced, Spike, SpikeId};
use events::SendError;
use futures::{StreamExt, stream};

use crate::{AppState, SPIKES_AT_ONCE, Summary};

/// How many events one call hands to the broker.
const AT_ONCE: u32 = 100;
/// How many rounds one run makes for a spike; the rest is the next run's.
const ROUNDS: usize = 50;
/// How long one spike's events may take before the others' turn.
const DEADLINE: Duration = Duration::from_secs(10);
/// When events come again that were not sent because the broker is away.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Pending for longer than this is an alarm.
const ALARM_AFTER: Duration = Duration::from_hours(1);

/// Publishes what is pending of all spikes, before anything else is done for one of them: a 202 depends on nothing but
/// this. Answers for which of them Redis failed or time ran out.
pub(crate) async fn publish_all(
    app: &AppState,
    spikes: &[Spike],
    summary: &mut Summary,
) -> HashSet<SpikeId> {
    let mut failed = HashSet::new();
    let ids: Vec<SpikeId> = spikes.iter().map(|spike| spike.id).collect();
    let mut spikes = stream::iter(ids)
        .map(|id| async move {
            let mut published = 0;
            let done = tokio::time::timeout(DEADLINE, publish_due(app, id, &mut published)).await;
            (id, published, done)
        })
        .buffer_unordered(SPIKES_AT_ONCE);
    while let Some((id, published, done)) = spikes.next().await {
        summary.published += published;
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                failed.insert(id);
                tracing::warn!(spike.id = %id, %error, "publishing is left to the next run");
            }
            Err(_) => {
                failed.insert(id);
                tracing::warn!(spike.id = %id, "publishing ran out of time");
            }
        }
    }
    failed
}

/// Publishes the pending reservations of a spike whose time has come, and counts those that the broker took.
///
/// Each was moved on in Redis before it is published here, so two sweepers rarely publish the same one, and a refusal
/// is repeated later. Publishing one twice is harmless. A broker that confirms nothing at all is left alone until the next
/// run, and what it was not sent comes again soon, whatever its age.
async fn publish_due(
    app: &AppState,
    spike_id: SpikeId,
    published: &mut u32,
) -> Result<(), sale::Error> {
    for _ in 0..ROUNDS {
        let due = app.stock.take_due(spike_id, AT_ONCE).await?;
        for late in due.iter().filter(|due| due.age > ALARM_AFTER) {
            observe::INCIDENTS.add(1, [&"pending-for-an-hour", &spike_id]);
            tracing::error!(
                order.id = %late.event.order_id, spike.id = %spike_id, user.id = %late.event.user_id, age_secs = late.age.as_secs(),
                "a reservation is still not an order"
            );
        }
        let events: Vec<OrderPlaced> = due.into_iter().map(|due| due.event).collect();
        if events.is_empty() {
            break;
        }
        failpoint::pass("sweeper.taken");
        let answers = app.sink.send(&events).await;
        failpoint::pass("sweeper.published");
        let unconfirmed = answers
            .iter()
            .filter(|answer| matches!(answer, Err(SendError::Unconfirmed(_))))
            .count();
        let sent = answers.iter().filter(|answer| answer.is_ok()).count();
        let refused = answers.len() - sent - unconfirmed;
        for (outcome, count) in [
            ("acked", sent),
            ("refused", refused),
            ("unconfirmed", unconfirmed),
        ] {
            if count > 0 {
                observe::PUBLISHED.add(count as u64, [&"sweeper", &outcome]);
            }
        }
        *published += u32::try_from(sent).unwrap_or(u32::MAX);
        if let Some(Err(error)) = answers.iter().find(|answer| answer.is_err()) {
            let unsent = events.len() - sent;
            tracing::warn!(spike.id = %spike_id, unsent, %error, "events are left to a later run");
        }
        if unconfirmed == events.len() {
            app.stock
                .send_sooner(spike_id, &events, AGAIN_AFTER)
                .await?;
            break;
        }
        if events.len() < AT_ONCE as usize {
            break;
        }
    }
    Ok(())
}
