//! The only reader of the machine's clock.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use domain::{Clock, Timestamp};

/// The machine's clock, in UTC. Everything else is given a [`Clock`] and can be given another.
#[must_use]
pub fn system() -> Clock {
    Arc::new(now)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the machine's clock"
)]
fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = since_epoch.map_or(0, |since| since.as_millis());
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    // Zero but where `scripts/break` sets a process' clock wrong.
    Timestamp::from_millis(ms.saturating_add(failpoint::clock_offset_ms()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_clock_tells_a_time_after_this_was_written() {
        assert!(super::system()().as_millis() > 1_790_000_000_000);
    }
}
