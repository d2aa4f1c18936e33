//! What is written back to Redis after the store has decided. Every one of these compares the holder first.

use domain::{Order, OrderId, OrderPlaced, SpikeId, Unit, Units, UserId};
use redis::Value;

use crate::{
    Error, Stock,
    answer::{self, unreadable},
    keys::{HOUSE, Key},
    script::{ACK, Call, LEARN, REASSIGN, RELEASE},
};

/// Units that a reservation gives back, after a durable transition.
#[derive(Debug, Clone, Copy)]
pub struct Release<'a> {
    /// The spike.
    pub spike_id: SpikeId,
    /// The reservation.
    pub order_id: OrderId,
    /// Its owner.
    pub user_id: UserId,
    /// The units to give back.
    pub units: &'a Units,
    /// The units that the order still holds; none if it is over.
    pub keep: &'a Units,
}

/// What giving units back has changed in Redis: nothing, if somebody else had done it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Released {
    /// How many units can be bought again.
    pub offered: u32,
    /// Whether the buyer's mark went, so that they can buy again.
    pub forgotten: bool,
}

impl Released {
    /// Whether there was nothing to do.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// What came of replacing units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reassigned {
    /// All units that the reservation has now, in place of the event's.
    Units(Units),
    /// Not enough units are on offer; nothing was changed.
    SoldOut,
    /// Redis does not have the sale; nothing was changed.
    NotLoaded,
}

/// What the store knows of a unit that is not free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// A live order holds it.
    Order {
        /// The order.
        order_id: OrderId,
        /// Its owner.
        user_id: UserId,
        /// All units that the order holds.
        units: Units,
    },
    /// The house took it back.
    Retired,
}

impl Truth {
    /// That this live order holds its units.
    #[must_use]
    pub fn of(order: &Order) -> Self {
        Self::Order {
            order_id: order.id,
            user_id: order.user_id,
            units: order.units.clone(),
        }
    }
}

/// A holder that Redis showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A reservation.
    Order(OrderId),
    /// The house.
    House,
}

impl Stock {
    /// Takes a reservation out of the outbox: its order is durable. For the order-writer after its commit, never for
    /// the publisher. Whether it was there, under exactly these units.
    pub async fn ack(&self, placed: &OrderPlaced) -> Result<bool, Error> {
        let acked = self.ack_all(placed.spike_id, std::slice::from_ref(placed));
        Ok(acked.await? > 0)
    }

    /// As [`Stock::ack`], for reservations of one spike in one call, a few hundred at most. How many were there.
    pub async fn ack_all(&self, spike_id: SpikeId, placed: &[OrderPlaced]) -> Result<u32, Error> {
        if placed.is_empty() {
            return Ok(0);
        }
        let members: Vec<String> = placed.iter().map(OrderPlaced::member).collect();
        let call = Call::new(&ACK, spike_id, &[Key::Pending]).arg(members);
        answer::number(self.quick(call).await?)
    }

    /// Puts on offer those of the units that Redis shows as held by this reservation, and forgets the reservation: its
    /// outbox entry, and the buyer's mark unless the order keeps units. Answers what this call has changed.
    /// Only after a durable transition; doing it again is harmless. A sale that is not loaded is left alone.
    pub async fn release(&self, release: &Release<'_>) -> Result<Released, Error> {
        let keys = [Key::Sale, Key::Buyers, Key::Held, Key::Pending, Key::Free];
        let all = release.units.iter().chain(release.keep.iter()).collect();
        let placed = |units| OrderPlaced {
            order_id: release.order_id,
            spike_id: release.spike_id,
            user_id: release.user_id,
            units,
        };
        let call = Call::new(&RELEASE, release.spike_id, &keys)
            .arg(release.order_id.to_string())
            .arg(release.user_id.to_string())
            .arg(release.keep.to_string())
            .arg(placed(release.units.clone()).member())
            .arg(placed(all).member())
            .arg(release.units.as_slice());
        self.given_back(call).await
    }

    /// Puts on offer those of the units that the house holds in Redis; answers how many.
    pub async fn unretire(&self, spike_id: SpikeId, units: &Units) -> Result<u32, Error> {
        let keys = [Key::Sale, Key::Buyers, Key::Held, Key::Pending, Key::Free];
        let call = Call::new(&RELEASE, spike_id, &keys)
            .arg(HOUSE)
            .arg("")
            .arg("")
            .arg("")
            .arg("")
            .arg(units.as_slice());
        Ok(self.given_back(call).await?.offered)
    }

    async fn given_back(&self, call: Call) -> Result<Released, Error> {
        let [offered, forgotten] = answer::values(self.quick(call).await?)?;
        Ok(Released {
            offered: answer::number(offered)?,
            forgotten: answer::flag(forgotten)?,
        })
    }

    /// Replaces those units of a reservation that the store found `taken`; the others stay.
    ///
    /// Needs no hold in Redis. Idempotent by reservation: where Redis already shows other units for it than the
    /// event's, those are the answer.
    pub async fn reassign(&self, placed: &OrderPlaced, taken: &Units) -> Result<Reassigned, Error> {
        let keys = [Key::Sale, Key::Buyers, Key::Held, Key::Pending, Key::Free];
        let kept = placed.units.without(taken);
        let gone = placed.units.without(&kept);
        let call = Call::new(&REASSIGN, placed.spike_id, &keys)
            .arg(placed.order_id.to_string())
            .arg(placed.user_id.to_string())
            .arg(placed.units.to_string())
            .arg(kept.len())
            .arg(kept.as_slice())
            .arg(gone.as_slice());
        let answer = answer::list(self.patient(call).await?)?;
        match <[Value; 2]>::try_from(answer) {
            Ok([outcome, units]) if outcome == Value::BulkString(b"units".into()) => {
                let units = answer::parsed(&answer::text(units)?)?;
                Ok(Reassigned::Units(units))
            }
            Ok(other) => Err(unreadable("no answer of reassign", &other)),
            Err(answer) => match <[Value; 1]>::try_from(answer) {
                Ok([outcome]) => match answer::text(outcome)?.as_str() {
                    "sold-out" => Ok(Reassigned::SoldOut),
                    "not-loaded" => Ok(Reassigned::NotLoaded),
                    other => Err(unreadable("no answer of reassign", other)),
                },
                Err(other) => Err(unreadable("no answer of reassign", &other)),
            },
        }
    }

    /// Writes the store's holder of a unit into Redis and takes the unit off the offer; whether it did.
    ///
    /// It acts only while Redis shows the holder that the caller saw, nobody, or the truth in part. What Redis showed
    /// before keeps its outbox entry: its event still has to be written, with other units. An audit is asked for, and
    /// with `healing_ms` above 0 nobody can reserve for that time, at most two seconds. Where Redis shows the whole truth
    /// already, nothing happens.
    pub async fn learn(
        &self,
        spike_id: SpikeId,
        unit: Unit,
        truth: &Truth,
        seen: Option<Seen>,
        healing_ms: u64,
    ) -> Result<bool, Error> {
        let keys = [Key::Sale, Key::Buyers, Key::Held, Key::Free];
        let (holder, user, units) = match truth {
            Truth::Order {
                order_id,
                user_id,
                units,
            } => (order_id.to_string(), user_id.to_string(), units.to_string()),
            Truth::Retired => (HOUSE.to_owned(), String::new(), String::new()),
        };
        let seen = match seen {
            Some(Seen::Order(order_id)) => order_id.to_string(),
            Some(Seen::House) => HOUSE.to_owned(),
            None => String::new(),
        };
        let call = Call::new(&LEARN, spike_id, &keys)
            .arg(unit)
            .arg(holder)
            .arg(user)
            .arg(units)
            .arg(seen)
            .arg(healing_ms);
        answer::flag(self.patient(call).await?)
    }
}
