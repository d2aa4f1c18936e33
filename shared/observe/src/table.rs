//! The table of instruments. `docs/operations.md` says what to do when one moves; a test compares the two.

use opentelemetry::metrics::Meter;

use crate::{About, Counter, Gauge, Histogram, Kind};

macro_rules! instruments {
    ($($name:ident: $kind:ident[$($attribute:literal),*] = $id:literal, $unit:literal, $what:literal;)+) => {
        $(
            #[doc = $what]
            pub static $name: $kind<{ count(&[$($attribute),*]) }> = $kind::new(About {
                name: $id,
                kind: Kind::$kind,
                unit: $unit,
                attributes: &[$($attribute),*],
                what: $what,
            });
        )+

        /// Every instrument.
        pub const ALL: &[About] = &[$(About {
            name: $id,
            kind: Kind::$kind,
            unit: $unit,
            attributes: &[$($attribute),*],
            what: $what,
        }),+];

        /// Starts every instrument; a second call changes nothing.
        pub fn start(meter: &Meter) {
            $($name.start(meter);)+
        }
    };
}

const fn count(keys: &[&str]) -> usize {
    keys.len()
}

instruments! {
    PURCHASES: Counter["step", "outcome"] = "spike.purchases", "{request}",
        "Answers to purchases, by the step that gave them and the code of the answer.";
    PUBLISHED: Counter["by", "outcome"] = "spike.events.published", "{event}",
        "Events handed to the broker, by who did it and what the broker said.";
    WRITTEN: Counter["outcome"] = "spike.orders.written", "{event}",
        "Events that the writer has finished: placed, there before, or rejected.";
    REJECTED: Counter["reason", "spike.id"] = "spike.orders.rejected", "{order}",
        "Orders that were accepted and could not be written as bought.";
    REJECTED_ON_OFFER: Counter["spike.id"] = "spike.orders.rejected_on_offer", "{order}",
        "Orders rejected as sold out while units were on offer; must stay 0.";
    CONFLICTS: Counter["spike.id"] = "spike.unit.conflicts", "{unit}",
        "Units that Redis handed out although they were another's.";
    REPAIRED: Counter["difference", "spike.id"] = "spike.differences.repaired", "{difference}",
        "Differences between store, Redis and payment provider that were repaired.";
    REFUNDS: Counter["spike.id"] = "spike.refunds.owed", "{order}",
        "Orders that had ended when their money came: it is owed back.";
    INCIDENTS: Counter["kind", "spike.id"] = "spike.incidents", "{incident}",
        "What nothing repairs by itself: a person has to look.";
    DEAD_LETTERS: Counter["content"] = "spike.dead_letters", "{event}",
        "Events that the queue gave up on.";
    SWEEPS_FAILED: Counter[] = "spike.sweeps.failed", "{sweep}",
        "Sweeps of one spike that failed or ran out of time.";
    TUNABLES_REFUSED: Counter[] = "spike.tunables.refused", "{file}",
        "Files of tunables that could not be used; the old values stayed.";
    STOCK: Histogram["call", "outcome"] = "spike.stock.duration", "s",
        "Calls of Redis.";
    STORE: Histogram["call", "outcome"] = "spike.store.duration", "s",
        "Requests to the durable store, each try by itself.";
    QUEUE_LAG: Histogram[] = "spike.queue.lag", "s",
        "Age of a reservation when the writer gets its event.";
    FREE: Gauge["spike.id"] = "spike.units.free", "{unit}",
        "Units on offer in Redis at the last sweep.";
    PENDING: Gauge["spike.id"] = "spike.pending.entries", "{order}",
        "Reservations not known to be written at the last sweep.";
    PENDING_AGE: Gauge["spike.id"] = "spike.pending.age", "s",
        "Age of the oldest of these; where more than a thousand are pending, at least this.";
    SPANS_LOST: Counter["why"] = "spike.telemetry.spans.lost", "{span}",
        "Spans that were dropped because the queue was full or the endpoint did not take them.";
    EXPORTS_FAILED: Counter["signal"] = "spike.telemetry.exports.failed", "{request}",
        "Exports that the endpoint did not take.";
}
