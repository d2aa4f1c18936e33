//! The hot path's one round trip.

use domain::{OrderId, SpikeId, Units, UserId, Verdict};

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

/// What came of a wish for units. The first that applies is the answer, in this order: [`Reserved::Replay`],
/// `NotLoaded`, `Healing`, `Ended`, `Early`, `Paused`, `OverLimit`, `SoldOut`, `NeedAccess`, `Denied`, `Won`.
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
        let mut call = Call::new(&RESERVE, request.spike_id, &keys)
            .arg(request.user_id.to_string())
            .arg(request.order_id.to_string())
            .arg(request.quantity);
        if let Some(verdict) = request.verdict {
            call = call.arg(verdict.to_text());
        }
        reserved(&answer::text(self.quick(call).await?)?)
    }
}

/// Reads the script's answer: a word, and what belongs to it after a bar.
fn reserved(answer: &str) -> Result<Reserved, Error> {
    let outcome = match answer.split_once('|') {
        None => match answer {
            "ended" => Reserved::Ended,
            "paused" => Reserved::Paused,
            "healing" => Reserved::Healing,
            "need-access" => Reserved::NeedAccess,
            "not-loaded" => Reserved::NotLoaded,
            _ => return Err(unreadable("no answer of reserve", answer)),
        },
        Some(("won", units)) => Reserved::Won(units_of(units)?),
        Some(("replay", hold)) => replay(hold)?,
        Some(("sold-out", left)) => Reserved::SoldOut {
            left: answer::parsed(left)?,
        },
        Some(("early", ms)) => Reserved::Early {
            ms: answer::parsed(ms)?,
        },
        Some(("denied", reason)) => Reserved::Denied(reason.to_owned()),
        Some(("over-limit", limit)) => Reserved::OverLimit {
            limit: answer::parsed(limit)?,
        },
        Some(_) => return Err(unreadable("no answer of reserve", answer)),
    };
    Ok(outcome)
}

/// Reads `reservation|units|1`, or `0` for one that is no longer pending.
fn replay(text: &str) -> Result<Reserved, Error> {
    let parts: Vec<&str> = text.split('|').collect();
    let [order_id, units, pending @ ("0" | "1")] = parts[..] else {
        return Err(unreadable("not a replay", text));
    };
    Ok(Reserved::Replay {
        order_id: answer::parsed(order_id)?,
        units: units_of(units)?,
        pending: pending == "1",
    })
}

/// Reads an order's units: at least one.
fn units_of(text: &str) -> Result<Units, Error> {
    let units: Units = answer::parsed(text)?;
    if units.is_empty() {
        Err(unreadable("no units", text))
    } else {
        Ok(units)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::answer::tests::{corpus, texts};

    /// The answer as the script writes it.
    fn written(answer: &Reserved) -> String {
        match answer {
            Reserved::Won(units) => format!("won|{units}"),
            Reserved::Replay {
                order_id,
                units,
                pending,
            } => format!("replay|{order_id}|{units}|{}", u8::from(*pending)),
            Reserved::SoldOut { left } => format!("sold-out|{left}"),
            Reserved::Early { ms } => format!("early|{ms}"),
            Reserved::Ended => "ended".to_owned(),
            Reserved::Paused => "paused".to_owned(),
            Reserved::Healing => "healing".to_owned(),
            Reserved::Denied(reason) => format!("denied|{reason}"),
            Reserved::OverLimit { limit } => format!("over-limit|{limit}"),
            Reserved::NeedAccess => "need-access".to_owned(),
            Reserved::NotLoaded => "not-loaded".to_owned(),
        }
    }

    fn put_through(text: &str) {
        if let Ok(answer) = reserved(text) {
            assert_eq!(reserved(&written(&answer)).unwrap(), answer, "{text}");
            let wins = matches!(answer, Reserved::Won(_) | Reserved::Replay { .. });
            assert!(!wins || written(&answer) == text, "{text}");
        }
    }

    #[test]
    fn no_text_of_the_corpus_passes_for_a_win() {
        for text in corpus() {
            put_through(&text);
            for word in ["won", "replay", "denied", "early", "sold-out", "over-limit"] {
                put_through(&format!("{word}|{text}"));
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_passes_for_a_win(text in texts()) {
            put_through(&text);
        }
    }

    #[test]
    fn an_answer_that_reserve_does_not_give_is_unreadable() {
        let id = "01900000-0000-7000-8000-000000000000";
        assert!(reserved(&format!("replay|{id}|3,7|1")).is_ok());
        for answer in [
            "",
            "won",
            "won|",
            "won|0",
            "won|2,1",
            "sold-out",
            "sold-out|-1",
            "early|soon",
            "ended|1",
            "denied",
            "over-limit|",
            "replay|1",
            &format!("replay|{id}|3,7"),
            &format!("replay|{id}|3,7|2"),
            &format!("replay|{id}||1"),
            &format!("replay|{id}|3|1|1"),
            "maybe|1",
        ] {
            let outcome = reserved(answer);
            assert!(
                matches!(outcome, Err(Error::Unreadable(_))),
                "{answer}: {outcome:?}"
            );
        }
    }
}
