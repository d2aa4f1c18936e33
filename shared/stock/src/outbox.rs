//! The outbox (`pending`) and the audit's lease: what the sweeper works with.

use std::time::Duration;

use domain::{OrderPlaced, SpikeId, Timestamp};
use redis::Value;

use crate::{
    Error, Stock,
    answer::{self, unreadable},
    keys::Key,
    script::{AUDITED, Call, DUE, LEASE_AUDIT, PUT_BACK},
};

/// A reservation whose event is to be published again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The event.
    pub event: OrderPlaced,
    /// How long ago the units were reserved.
    pub age: Duration,
}

impl Stock {
    /// Reservations whose publish time has come, longest overdue first, at most `limit`. Each is moved on: it comes
    /// again after as long as it is old, at least 5 s and at most 10 min later, unless it is acknowledged.
    ///
    /// An entry that cannot be read is logged and left out, so that it does not hold up the others.
    pub async fn take_due(&self, spike_id: SpikeId, limit: u32) -> Result<Vec<Due>, Error> {
        let call = Call::new(&DUE, spike_id, &[Key::Pending, Key::Held]).arg(limit);
        let answer = answer::list(self.patient(call).await?)?;
        let mut due = Vec::with_capacity(answer.len());
        for entry in answer {
            let [member, age_ms] = answer::values(entry)?;
            let (member, age_ms) = (answer::text(member)?, answer::number(age_ms)?);
            match OrderPlaced::from_member(spike_id, &member) {
                Ok(event) => due.push(Due {
                    event,
                    age: Duration::from_millis(age_ms),
                }),
                Err(error) => {
                    tracing::error!(spike.id = %spike_id, member, %error, "unreadable pending entry");
                }
            }
        }
        Ok(due)
    }

    /// Puts a reservation back into the outbox, due at once, if it is missing there and Redis shows that it holds all
    /// of these units; whether it did.
    pub async fn put_pending(&self, placed: &OrderPlaced) -> Result<bool, Error> {
        let keys = [Key::Sale, Key::Held, Key::Pending];
        let call = Call::new(&PUT_BACK, placed.spike_id, &keys)
            .arg(placed.order_id.to_string())
            .arg(placed.member())
            .arg(placed.units.as_slice());
        answer::flag(self.quick(call).await?)
    }

    /// Makes the caller the spike's one auditor for a minute; answers when the audit begins by Redis' clock, or `None`
    /// if there is another auditor or the sale is not loaded.
    pub async fn lease_audit(&self, spike_id: SpikeId) -> Result<Option<Timestamp>, Error> {
        let call = Call::new(&LEASE_AUDIT, spike_id, &[Key::Sale, Key::Auditing]);
        match self.quick(call).await? {
            Value::Nil => Ok(None),
            started_at => answer::time(started_at).map(Some),
        }
    }

    /// Notes that the audit which began at `started_at` (the answer of [`Stock::lease_audit`]) is complete, and ends
    /// its lease. Wishes for an audit from before it began are fulfilled.
    pub async fn audited(&self, spike_id: SpikeId, started_at: Timestamp) -> Result<(), Error> {
        let call =
            Call::new(&AUDITED, spike_id, &[Key::Sale, Key::Auditing]).arg(started_at.as_millis());
        match self.quick(call).await? {
            Value::Int(0 | 1) => Ok(()),
            other => Err(unreadable("no answer of audited", &other)),
        }
    }
}
