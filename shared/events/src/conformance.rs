//! What every [`EventSink`] promises. The adapter's own test prepares the far side, then runs each function that
//! fits; all of them panic where the sink breaks its promise.

use domain::{OrderId, OrderPlaced, SpikeId, Timestamp, UserId};

use crate::{EventSink, SendError};

/// A made-up reservation; each number makes another.
#[must_use]
pub fn event(number: u32) -> OrderPlaced {
    let now = Timestamp::from_millis(1_700_000_000_000 + i64::from(number));
    let mut random = [7; 10];
    random[..4].copy_from_slice(&number.to_be_bytes());
    OrderPlaced {
        order_id: OrderId::mint(now, random),
        spike_id: SpikeId::mint(now, [2; 10]),
        user_id: UserId::mint(now, random),
        units: [number % 1000 + 1, number % 1000 + 1001]
            .into_iter()
            .collect(),
    }
}

/// Where the far side takes everything: each event is acknowledged, and `arrived` shows it.
///
/// # Panics
/// Where it is not so.
pub async fn what_is_acknowledged_has_arrived<F: Future<Output = Vec<OrderPlaced>>>(
    sink: &dyn EventSink,
    arrived: impl Fn() -> F,
) {
    assert!(sink.send(&[]).await.is_empty(), "no event, no answer");
    let events: Vec<_> = (0..40).map(event).collect();
    let answers = sink.send(&events).await;
    assert_eq!(answers.len(), events.len(), "one answer for each");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let mut got = arrived().await;
    for event in &events {
        let at = got.iter().position(|other| other == event);
        got.swap_remove(at.unwrap_or_else(|| panic!("{} has not arrived", event.order_id)));
    }
}

/// Where the far side takes nothing and says so.
///
/// # Panics
/// Where the sink reports anything but a refusal.
pub async fn a_refusal_is_no_acknowledgement(sink: &dyn EventSink) {
    for answer in sink.send(&[event(1), event(2)]).await {
        assert!(matches!(answer, Err(SendError::Refused(_))), "{answer:?}");
    }
}

/// Where the far side takes the event or not, and no answer comes: it hangs, drops the connection, or is away.
///
/// # Panics
/// Where the sink claims to know.
pub async fn silence_is_no_acknowledgement(sink: &dyn EventSink) {
    for answer in sink.send(&[event(1), event(2)]).await {
        assert!(
            matches!(answer, Err(SendError::Unconfirmed(_))),
            "{answer:?}"
        );
    }
}

/// Where the far side refuses just the event `refused`, between neighbours that it takes.
///
/// # Panics
/// Where a neighbour is harmed, or the refused one is acknowledged.
pub async fn neighbours_of_a_refused_event_are_unharmed(
    sink: &dyn EventSink,
    refused: &OrderPlaced,
) {
    let answers = sink.send(&[event(11), refused.clone(), event(12)]).await;
    let taken: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, true], "{answers:?}");
}
