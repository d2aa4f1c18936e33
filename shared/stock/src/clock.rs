//! Redis' clock, told without asking Redis each time.
//!
//! Windows, path tokens and every "server time" follow Redis' clock, because all instances share it while their own
//! clocks may differ by minutes. An instance keeps the offset between its clock and Redis' and measures it anew when it
//! is ten seconds old.

use std::sync::atomic::{AtomicI64, Ordering};

use domain::{Clock, Timestamp};

/// How old a measurement may become.
const MEASURE_EVERY_MS: i64 = 10_000;
/// How soon a failed measurement is tried again.
const RETRY_AFTER_MS: i64 = 1_000;
/// No measurement yet.
const NEVER: i64 = i64::MIN;

pub(crate) struct RedisClock {
    local: Clock,
    offset_ms: AtomicI64,
    measured_at: AtomicI64,
}

impl RedisClock {
    pub(crate) fn new(local: Clock) -> Self {
        Self {
            local,
            offset_ms: AtomicI64::new(0),
            measured_at: AtomicI64::new(NEVER),
        }
    }

    /// Redis' time as far as it is known.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.local_ms() + self.offset_ms.load(Ordering::Relaxed))
    }

    /// Whether the caller is the one to measure now. Others go on with the old offset.
    pub(crate) fn claim_measurement(&self) -> bool {
        let now = self.local_ms();
        let measured_at = self.measured_at.load(Ordering::Relaxed);
        let age = now.saturating_sub(measured_at);
        // A negative age: the local clock was set back.
        if measured_at != NEVER && (0..MEASURE_EVERY_MS).contains(&age) {
            return false;
        }
        let claim = self.measured_at.compare_exchange(
            measured_at,
            now,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        claim.is_ok()
    }

    /// Milliseconds of the local clock.
    pub(crate) fn local_ms(&self) -> i64 {
        (self.local)().as_millis()
    }

    /// Takes in that Redis showed `redis_ms` somewhen between `asked_ms` and now.
    pub(crate) fn learn(&self, asked_ms: i64, redis_ms: i64) {
        let now = self.local_ms();
        let offset = redis_ms - i64::midpoint(asked_ms, now);
        self.offset_ms.store(offset, Ordering::Relaxed);
        self.measured_at.store(now, Ordering::Relaxed);
    }

    /// Takes in that Redis did not answer: the old offset stays, and the next try is due soon.
    pub(crate) fn missed(&self) {
        let due = self.local_ms() - MEASURE_EVERY_MS + RETRY_AFTER_MS;
        self.measured_at.store(due, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn clock() -> (Arc<AtomicI64>, RedisClock) {
        let ms = Arc::new(AtomicI64::new(1_000_000));
        let read = Arc::clone(&ms);
        let local: Clock = Arc::new(move || Timestamp::from_millis(read.load(Ordering::SeqCst)));
        (ms, RedisClock::new(local))
    }

    #[test]
    fn one_caller_measures_every_ten_seconds() {
        let (ms, clock) = clock();
        assert!(clock.claim_measurement());
        assert!(
            !clock.claim_measurement(),
            "others go on with the old offset"
        );
        clock.learn(999_980, 2_000_000);
        assert_eq!(clock.now().as_millis(), 2_000_010);
        ms.fetch_add(9_999, Ordering::SeqCst);
        assert!(!clock.claim_measurement());
        ms.fetch_add(1, Ordering::SeqCst);
        assert!(clock.claim_measurement());
        assert!(!clock.claim_measurement());
    }

    #[test]
    fn a_failed_measurement_keeps_the_offset_and_is_repeated_soon() {
        let (ms, clock) = clock();
        clock.learn(1_000_000, 1_000_500);
        clock.missed();
        assert_eq!(clock.now().as_millis(), 1_000_500);
        assert!(!clock.claim_measurement());
        ms.fetch_add(1_000, Ordering::SeqCst);
        assert!(clock.claim_measurement());
    }

    #[test]
    fn a_clock_that_is_set_back_is_measured_at_once() {
        let (ms, clock) = clock();
        clock.learn(1_000_000, 1_000_500);
        ms.fetch_sub(1, Ordering::SeqCst);
        assert!(clock.claim_measurement());
    }
}
