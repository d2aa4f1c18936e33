//! The outbox (`pending`) and the audit's lease: what the sweeper works with.

use std::{collections::HashSet, time::Duration};

use domain::{OrderId, OrderPlaced, SpikeId, Timestamp, Units};
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

/// How many differing units an audit leaves to the next one.
const DIFFERED_AT_MOST: usize = 100;

/// How many entries of the outbox are looked at from either end for the oldest.
const LOOKED_AT: i32 = 500;

/// The right to audit a spike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLease {
    /// When the audit begins, by Redis' clock.
    pub started_at: Timestamp,
    /// Units that differed in the last complete audit, at most 100.
    pub differed: Units,
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
                    observe::INCIDENTS.add(1, [&"unreadable-pending", &spike_id]);
                    tracing::error!(spike.id = %spike_id, member, %error, "unreadable pending entry");
                }
            }
        }
        Ok(due)
    }

    /// Puts a reservation back into the outbox, due at once, if it is missing there and Redis shows these units as its
    /// buyer's, or that it holds all of them; whether it did.
    pub async fn put_pending(&self, placed: &OrderPlaced) -> Result<bool, Error> {
        let keys = [Key::Sale, Key::Held, Key::Pending, Key::Buyers];
        let call = Call::new(&PUT_BACK, placed.spike_id, &keys)
            .arg(placed.order_id.to_string())
            .arg(placed.member())
            .arg(placed.user_id.to_string())
            .arg(placed.units.to_string())
            .arg(placed.units.as_slice());
        answer::flag(self.quick(call).await?)
    }

    /// Lets reservations that were taken by [`Stock::take_due`] and not sent come again `after` this time, whatever their
    /// age. Those that are no longer in the outbox stay out.
    pub async fn send_sooner(
        &self,
        spike_id: SpikeId,
        unsent: &[OrderPlaced],
        after: Duration,
    ) -> Result<(), Error> {
        if unsent.is_empty() {
            return Ok(());
        }
        let at_ms = (self.now() + after).as_millis();
        let mut add = redis::cmd("ZADD");
        add.arg(Key::Pending.of(spike_id)).arg("XX");
        for event in unsent {
            add.arg(at_ms).arg(event.member());
        }
        self.command(&add).await.map(drop)
    }

    /// Which reservations are in the outbox; those that come or go meanwhile may be missed. At most as many as there are
    /// units.
    pub async fn pending_ids(&self, spike_id: SpikeId) -> Result<HashSet<OrderId>, Error> {
        let (mut ids, mut cursor) = (HashSet::new(), String::from("0"));
        loop {
            let mut scan = redis::cmd("ZSCAN");
            scan.arg(Key::Pending.of(spike_id)).arg(&cursor);
            scan.arg("COUNT").arg(500);
            let [next, members] = answer::values(self.command(&scan).await?)?;
            for pair in answer::list(members)?.chunks(2) {
                let member = pair.first().cloned().unwrap_or(Value::Nil);
                // An entry that cannot be read is logged where it is due.
                if let Ok(event) = OrderPlaced::from_member(spike_id, &answer::text(member)?) {
                    ids.insert(event.order_id);
                }
            }
            cursor = answer::text(next)?;
            if cursor == "0" {
                return Ok(ids);
            }
        }
    }

    /// When the oldest reservation of the outbox that was looked at was made, by its id; none if the outbox is empty.
    ///
    /// Looks at the thousand that are due first and last, not at all: it is asked every few seconds. The oldest is among
    /// these while each publish moves an entry on by its age. Beyond ten minutes all are moved on by as much, so where more
    /// than a thousand wait, an older one may lie between. It is at least as old as the answer.
    pub async fn oldest_pending(&self, spike_id: SpikeId) -> Result<Option<Timestamp>, Error> {
        let mut oldest: Option<Timestamp> = None;
        for (first, last) in [(0, LOOKED_AT - 1), (-LOOKED_AT, -1)] {
            let mut range = redis::cmd("ZRANGE");
            range.arg(Key::Pending.of(spike_id)).arg(first).arg(last);
            for member in answer::list(self.command(&range).await?)? {
                if let Ok(event) = OrderPlaced::from_member(spike_id, &answer::text(member)?) {
                    let made_at = event.order_id.minted_at();
                    oldest = Some(oldest.map_or(made_at, |other| other.min(made_at)));
                }
            }
        }
        Ok(oldest)
    }

    /// Makes the caller the spike's one auditor for 35 s; `None` if there is another auditor or the sale is not loaded.
    pub async fn lease_audit(&self, spike_id: SpikeId) -> Result<Option<AuditLease>, Error> {
        let call = Call::new(&LEASE_AUDIT, spike_id, &[Key::Sale, Key::Auditing]);
        match self.quick(call).await? {
            Value::Nil => Ok(None),
            lease => {
                let [started_at, differed] = answer::values(lease)?;
                Ok(Some(AuditLease {
                    started_at: answer::time(started_at)?,
                    differed: answer::parsed(&answer::text(differed)?)?,
                }))
            }
        }
    }

    /// Notes that the audit which began at `started_at` is complete, and ends its lease. Wishes for an audit from before
    /// it began are fulfilled. The first of the `differing` units are kept for the next audit.
    pub async fn audited(
        &self,
        spike_id: SpikeId,
        started_at: Timestamp,
        differing: &Units,
    ) -> Result<(), Error> {
        let kept: Units = differing.iter().take(DIFFERED_AT_MOST).collect();
        self.end_audit(spike_id, started_at, Some(&kept)).await
    }

    /// Ends the lease of the audit which began at `started_at` and was not completed, so that another can begin at once.
    pub async fn give_up_audit(
        &self,
        spike_id: SpikeId,
        started_at: Timestamp,
    ) -> Result<(), Error> {
        self.end_audit(spike_id, started_at, None).await
    }

    async fn end_audit(
        &self,
        spike_id: SpikeId,
        started_at: Timestamp,
        differing: Option<&Units>,
    ) -> Result<(), Error> {
        let mut call =
            Call::new(&AUDITED, spike_id, &[Key::Sale, Key::Auditing]).arg(started_at.as_millis());
        if let Some(units) = differing {
            call = call.arg(units.to_string());
        }
        match self.quick(call).await? {
            Value::Int(0 | 1) => Ok(()),
            other => Err(unreadable("no answer of audited", &other)),
        }
    }
}
