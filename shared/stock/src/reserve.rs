//! The hot path's one round trip.

use domain::{OrderId, SpikeId, Units, UserId, Verdict};
use redis::Value;

use crate::{
    Error, Stock,
    answer::{self, unreadable},
    keys::Key,
    script::{Call, RESERVE},
};

/// A wish for units.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The spike.
    pub spike_id: SpikeId,
    /// The buyer.
    pub user_id: UserId,
    /// The reservation's id if it is won: minted at random by the caller, never used before.
    pub order_id: OrderId,
    /// How many units.
    pub quantity: u32,
    /// What the access rules say, if the caller has just asked them (after [`Reserved::NeedAccess`]).
    pub verdict: Option<&'a Verdict>,
}

/// What came of a wish for units. Checks are made in the order of [`Reserved::Replay`], `NotLoaded`, `Healing`,
/// `Ended`, `Early`, `Paused`, `OverLimit`, `SoldOut`, `NeedAccess` and `Denied`: the first that applies is the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// These units are the buyer's; the event is in the outbox.
    Won(Units),
    /// The buyer has a reservation already.
    Replay {
        /// The reservation that stands.
        order_id: OrderId,
        /// Its units.
        units: Units,
        /// Whether it is not yet known to be durable: the event is to be published (again).
        pending: bool,
    },
    /// Fewer units are left than asked for.
    SoldOut {
        /// How many are left.
        left: u32,
    },
    /// The sale has not started.
    Early {
        /// Milliseconds until it does.
        ms: u64,
    },
    /// The sale is over.
    Ended,
    /// An admin has paused the sale.
    Paused,
    /// A unit conflict is being repaired; over in at most two seconds.
    Healing,
    /// An access rule refuses the buyer; the reason is the admin's text.
    Denied(String),
    /// More than one user may buy.
    OverLimit {
        /// How many one user may buy.
        limit: u32,
    },
    /// Nobody has asked the access rules in the last 30 s: ask them and call again with the verdict.
    NeedAccess,
    /// Redis does not have the sale: load it and call again.
    NotLoaded,
}

impl Stock {
    /// Reserves units for a buyer: hold, window, pause, limit, stock, access, unit numbers and outbox in one atomic
    /// step, all or nothing.
    pub async fn reserve(&self, request: &Request<'_>) -> Result<Reserved, Error> {
        let keys = [
            Key::Sale,
            Key::Buyers,
            Key::Held,
            Key::Pending,
            Key::Free,
            Key::Access(request.user_id),
        ];
        let call = Call::new(&RESERVE, request.spike_id, &keys)
            .arg(request.user_id.to_string())
            .arg(request.order_id.to_string())
            .arg(request.quantity)
            .arg(request.verdict.map(Verdict::to_text).unwrap_or_default());
        reserved(self.quick(call).await?)
    }
}

fn reserved(answer: Value) -> Result<Reserved, Error> {
    let mut answer = answer::list(answer)?.into_iter();
    let mut next = || {
        answer
            .next()
            .ok_or_else(|| unreadable("too short an answer of reserve", ""))
    };
    let outcome = match answer::text(next()?)?.as_str() {
        "won" => Reserved::Won(answer::parsed(&answer::text(next()?)?)?),
        "replay" => Reserved::Replay {
            order_id: answer::parsed(&answer::text(next()?)?)?,
            units: answer::parsed(&answer::text(next()?)?)?,
            pending: answer::flag(next()?)?,
        },
        "sold-out" => Reserved::SoldOut {
            left: answer::number(next()?)?,
        },
        "early" => Reserved::Early {
            ms: answer::number(next()?)?,
        },
        "ended" => Reserved::Ended,
        "paused" => Reserved::Paused,
        "healing" => Reserved::Healing,
        "denied" => Reserved::Denied(answer::text(next()?)?),
        "over-limit" => Reserved::OverLimit {
            limit: answer::number(next()?)?,
        },
        "need-access" => Reserved::NeedAccess,
        "not-loaded" => Reserved::NotLoaded,
        other => return Err(unreadable("no answer of reserve", other)),
    };
    match answer.next() {
        None => Ok(outcome),
        Some(extra) => Err(unreadable("too long an answer of reserve", &extra)),
    }
}
