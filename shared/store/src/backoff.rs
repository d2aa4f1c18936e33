//! How requests to a store are repeated: after a pause of random length ("full jitter", doubling up to a cap), a few times
//! and for a few seconds at most.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

/// How often one request is sent at most.
const TRIES: u32 = 7;
/// How long the first pause lasts at most; each further one may last twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// How long a pause lasts at most.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);
/// After what time nothing is sent again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// The pauses between the tries of one request.
#[derive(Debug)]
pub(crate) struct Backoff {
    tries: u32,
    since: Instant,
    patience: Duration,
}

impl Backoff {
    #[cfg(feature = "dynamodb")]
    pub(crate) fn new() -> Self {
        Self::patient_for(PATIENCE)
    }

    /// With another time after which nothing is sent again.
    pub(crate) fn patient_for(patience: Duration) -> Self {
        Self {
            tries: 1,
            since: Instant::now(),
            patience,
        }
    }

    /// Which try this is, from 1.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// Waits for the next try; `false` if there is none.
    pub(crate) async fn pause(&mut self) -> bool {
        if self.tries == TRIES || self.since.elapsed() > self.patience {
            return false;
        }
        let longest = LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.pow(self.tries - 1));
        let share: f64 = rand::rng().random();
        tokio::time::sleep(longest.mul_f64(share)).await;
        self.tries += 1;
        true
    }

    /// Starts over: the last try got somewhere.
    pub(crate) fn progressed(&mut self) {
        *self = Self::patient_for(self.patience);
    }
}
