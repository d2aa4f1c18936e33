//! Looking at units and buyers, for the audit, the statistics and the buyer's own order.

use domain::{OrderId, SpikeId, Unit, Units, UserId, Verdict};
use redis::Value;

use crate::{
    Error, Stock,
    answer::{self, unreadable},
    keys::{HOUSE, Key},
    script::{BUYERS, Call, HOLD, UNITS},
};

/// The most units that one call shows.
pub const UNITS_PER_CALL: u32 = 1_000;
/// The most user ids that [`Stock::buyer_ids`] answers with.
pub const BUYERS_AT_MOST: usize = 2_000;
/// How long a verdict holds.
const VERDICT_MS: u32 = 30_000;

/// What Redis shows of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitState {
    /// It can be bought.
    OnOffer,
    /// A reservation holds it.
    Held {
        /// The reservation.
        order_id: OrderId,
        /// Its owner.
        user_id: UserId,
    },
    /// The house holds it.
    House,
    /// Nobody's and not on offer.
    Missing,
}

/// A buyer's reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The reservation.
    pub order_id: OrderId,
    /// Its units.
    pub units: Units,
    /// Whether it is not yet known to be durable.
    pub pending: bool,
}

/// A part of all buyers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buyers {
    /// Buyers with their reservations; one may come twice in different parts.
    pub holds: Vec<(UserId, OrderId, Units)>,
    /// Where the next part starts; none if this was the last.
    pub next: Option<u64>,
}

impl Stock {
    /// The units `first..=last` in one look, at most [`UNITS_PER_CALL`] of them; `None` if the sale is not loaded.
    pub async fn units(
        &self,
        spike_id: SpikeId,
        first: Unit,
        last: Unit,
    ) -> Result<Option<Vec<UnitState>>, Error> {
        let last = last.min(first.saturating_add(UNITS_PER_CALL - 1));
        let call = Call::new(&UNITS, spike_id, &[Key::Sale, Key::Held, Key::Free])
            .arg(first)
            .arg(last);
        match self.patient(call).await? {
            Value::Nil => Ok(None),
            states => answer::list(states)?
                .into_iter()
                .map(unit_state)
                .collect::<Result<_, _>>()
                .map(Some),
        }
    }

    /// The user's reservation, queued or written.
    pub async fn hold(&self, spike_id: SpikeId, user_id: UserId) -> Result<Option<Hold>, Error> {
        let call =
            Call::new(&HOLD, spike_id, &[Key::Buyers, Key::Pending]).arg(user_id.to_string());
        let answer = self.quick(call).await?;
        if answer == Value::Nil {
            return Ok(None);
        }
        let [hold, pending] = answer::values(answer)?;
        let (order_id, units) = answer::hold(&answer::text(hold)?)?;
        Ok(Some(Hold {
            order_id,
            units,
            pending: answer::flag(pending)?,
        }))
    }

    /// Some of the buyers, from the start or from where the last part ended. Those who come or go meanwhile may be
    /// missed, nobody else.
    pub async fn buyers_page(
        &self,
        spike_id: SpikeId,
        cursor: Option<u64>,
    ) -> Result<Buyers, Error> {
        let mut scan = redis::cmd("HSCAN");
        scan.arg(Key::Buyers.of(spike_id)).arg(cursor.unwrap_or(0));
        scan.arg("COUNT").arg(500);
        let [next, fields] = answer::values(self.command(&scan).await?)?;
        let fields = answer::list(fields)?;
        let holds = fields
            .chunks(2)
            .map(|pair| match pair {
                [user_id, hold] => buyer(user_id.clone(), hold.clone()),
                other => Err(unreadable("not a buyer", other)),
            })
            .collect::<Result<_, _>>()?;
        let next = answer::parsed::<u64>(&answer::text(next)?)?;
        Ok(Buyers {
            holds,
            next: Some(next).filter(|next| *next != 0),
        })
    }

    /// All buyers, unless they are more than [`BUYERS_AT_MOST`].
    pub async fn buyer_ids(&self, spike_id: SpikeId) -> Result<Option<Vec<UserId>>, Error> {
        let call = Call::new(&BUYERS, spike_id, &[Key::Buyers]).arg(BUYERS_AT_MOST);
        match self.quick(call).await? {
            Value::Nil => Ok(None),
            users => answer::list(users)?
                .into_iter()
                .map(|user| answer::parsed(&answer::text(user)?))
                .collect::<Result<_, _>>()
                .map(Some),
        }
    }

    /// What the access rules said about the user in the last 30 s.
    pub async fn verdict(
        &self,
        spike_id: SpikeId,
        user_id: UserId,
    ) -> Result<Option<Verdict>, Error> {
        let mut get = redis::cmd("GET");
        get.arg(Key::Access(user_id).of(spike_id));
        let text = answer::optional(self.command(&get).await?)?;
        Ok(text.map(|text| Verdict::from_text(&text)))
    }

    /// Keeps a verdict for 30 s.
    pub async fn remember_verdict(
        &self,
        spike_id: SpikeId,
        user_id: UserId,
        verdict: &Verdict,
    ) -> Result<(), Error> {
        let mut set = redis::cmd("SET");
        set.arg(Key::Access(user_id).of(spike_id))
            .arg(verdict.to_text());
        set.arg("PX").arg(VERDICT_MS);
        self.command(&set).await.map(drop)
    }
}

fn unit_state(value: Value) -> Result<UnitState, Error> {
    match answer::text(value)?.as_str() {
        "+" => Ok(UnitState::OnOffer),
        "" => Ok(UnitState::Missing),
        HOUSE => Ok(UnitState::House),
        holder => {
            answer::holder(holder).map(|(order_id, user_id)| UnitState::Held { order_id, user_id })
        }
    }
}

fn buyer(user_id: Value, hold: Value) -> Result<(UserId, OrderId, Units), Error> {
    let user_id = answer::parsed(&answer::text(user_id)?)?;
    let (order_id, units) = answer::hold(&answer::text(hold)?)?;
    Ok((user_id, order_id, units))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::answer::tests::{answers, corpus};

    #[test]
    fn only_a_plus_is_on_offer() {
        for text in corpus() {
            let state = unit_state(Value::SimpleString(text.clone()));
            assert_eq!(matches!(state, Ok(UnitState::OnOffer)), text == "+");
            assert_eq!(matches!(state, Ok(UnitState::Missing)), text.is_empty());
        }
    }

    proptest! {
        #[test]
        fn no_answer_of_redis_makes_the_readers_panic(one in answers(), other in answers()) {
            let _ = unit_state(one.clone());
            let _ = buyer(one, other);
        }
    }
}
