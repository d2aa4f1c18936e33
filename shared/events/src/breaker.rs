//! A circuit breaker: while the broker is away, a sender learns so at once instead of after a full deadline.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// So many sends in a row without an answer open the breaker.
const FAILURES: u32 = 5;
/// While it is open, one send in this time is let through to see whether the broker is back.
const PAUSE: Duration = Duration::from_millis(500);

/// The breaker is open: nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("the broker has not answered lately; not sent")]
pub(crate) struct Open;

/// The sender's memory of the broker. It goes by tokio's clock, which a test or a simulation can hold.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// When the next probe may pass; read only while open.
    next_probe: Option<Instant>,
}

impl Breaker {
    /// Whether a send may be tried now. While open, each `PAUSE` admits one.
    pub(crate) fn admit(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failures < FAILURES {
            return true;
        }
        let now = Instant::now();
        let due = state.next_probe.is_none_or(|at| now >= at);
        if due {
            state.next_probe = Some(now + PAUSE);
        }
        due
    }

    /// Notes what came of a send. Any answer counts, a refusal too: only silence says that the broker is away.
    pub(crate) fn record(&self, answered: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            *state = State::default();
        } else {
            state.failures = state.failures.saturating_add(1);
            state.next_probe = Some(Instant::now() + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fault_04_it_opens_probes_and_closes() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert!(breaker.admit());
            breaker.record(false);
        }
        assert!(!breaker.admit(), "open");
        tokio::time::advance(PAUSE).await;
        assert!(breaker.admit(), "one probe");
        assert!(!breaker.admit(), "and only one");
        breaker.record(true);
        assert!(breaker.admit() && breaker.admit(), "closed again");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_that_are_not_in_a_row_leave_it_closed() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            breaker.record(false);
            breaker.record(true);
        }
        assert!(breaker.admit());
    }
}
