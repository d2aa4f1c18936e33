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
