//! How long a name waits after failed logins.
//!
//! An attempt is counted **before** its password is compared and taken back when it succeeds. Counting afterwards
//! would let a thousand guesses that are sent at once pass before the first of them has been counted. It counts only on
//! the failures that were looked at: so whoever is refused has not counted, and a burst of guesses makes the owner wait
//! no longer than the few that were compared do.

use std::time::Duration;

use domain::{Timestamp, Username};
use store::Store;

use crate::Error;

/// So many failures in a row cost nothing.
const FREE_FAILURES: u32 = 5;
/// How often the count is looked at: one more than there can be free failures by others in between.
const LOOKS: u32 = FREE_FAILURES + 1;
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_mins(15);

/// Counts an attempt to log in, or refuses it because the name has to wait. A refused attempt does not make the wait
/// longer, so that the account's owner gets in between those who guess.
pub(crate) async fn begin(store: &dyn Store, name: &Username, now: Timestamp) -> Result<(), Error> {
    for _ in 0..LOOKS {
        let seen = store.login_attempts(name, now).await?;
        let waited = seen
            .last_failed_at
            .map_or(Duration::MAX, |last| now.since(last));
        refuse(wait_after(seen.failures).saturating_sub(waited))?;
        if store.count_failed_login(name, seen, now).await? {
            return Ok(());
        }
        // Somebody was counted since we looked.
    }
    refuse(WAIT_MIN)
}

fn refuse(wait: Duration) -> Result<(), Error> {
    if wait.is_zero() {
        return Ok(());
    }
    Err(Error::SlowDown {
        wait_secs: wait
            .as_millis()
            .div_ceil(1000)
            .try_into()
            .unwrap_or(u64::MAX),
    })
}

/// One second after the fifth failure, twice as long after each further one, a quarter of an hour at most.
fn wait_after(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(FREE_FAILURES) else {
        return Duration::ZERO;
    };
    let secs = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    Duration::from_secs(secs).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_are_free_and_then_the_wait_doubles_up_to_a_quarter_of_an_hour() {
        let expected = [
            (0, 0),
            (4, 0),
            (5, 1),
            (6, 2),
            (7, 4),
            (14, 512),
            (15, 900),
            (68, 900),
            (69, 900),
            (u32::MAX, 900),
        ];
        for (failures, secs) in expected {
            assert_eq!(
                wait_after(failures),
                Duration::from_secs(secs),
                "after {failures}"
            );
        }
    }
}
