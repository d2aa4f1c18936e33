//! The one table of Redis keys.
//!
//! Every key of a spike carries the hash tag `{ID}`, so that a cluster keeps them together; nothing spans two spikes.
//!
//! | key | type | lifetime | content | written by |
//! |---|---|---|---|---|
//! | `spike:{ID}:sale` | hash | until dropped | `next` (highest unit handed out), `top`, `opens` (ms from which one can buy: `starts` or `healing_until`, whichever is later; never unless open), `ends` (ms), `limit`, `guarded` (1: access rules), `state` (open, paused, closed), `starts` (ms), `version`, `epoch` (counts loads; for logs), `healing_until` (ms), `audit` (ms: an audit was asked for), `audited` (ms: the last complete audit began), `differed` (units that it found to differ, at most 100) | `load`, `configure`, `reserve`, `reassign`, `learn`, `offer`, `retire`, `audited` |
//! | `spike:{ID}:free` | set | until dropped | units given back, none above `next` | `load`, `release`, `learn`, `offer`; emptied by `reserve`, `reassign`, `retire` |
//! | `spike:{ID}:buyers` | hash | until dropped | user -> `reservation\|units` (`ID\|3,7`) | `load`, `reserve`, `reassign`, `learn`, `release` |
//! | `spike:{ID}:held` | hash | until dropped | unit -> `reservation\|user\|ms` (since when), or `#retire` | `load`, `reserve`, `reassign`, `learn`, `retire`, `release` |
//! | `spike:{ID}:pending` | sorted set by next publish time (ms) | until dropped | `reservation\|user\|units`: handed out and not yet known to be durable | `reserve`, `reassign`, `due`, `put_back`; emptied by `ack`, `release` |
//! | `spike:{ID}:retiring` | set | until dropped | units that the house took and of which the store may not know yet | `retire`; emptied by `settle`, `retire` |
//! | `spike:{ID}:access:USER` | string | 30 s | verdict: `+`, or `-` and the reason | `reserve`, `remember_verdict` |
//! | `spike:{ID}:loading` | string | 5 s | one loader per spike; which (a random number) | `lock_loading`, `keep_loading`, `load` |
//! | `spike:{ID}:auditing` | string | 35 s | one auditor per spike; when it began (ms) | `lease_audit`, `audited` |
//! | `spike:complete` | string | for ever | every live sale was loaded since Redis was last empty | `mark_complete` |
//!
//! A sale is present if its hash has `state`; no script makes a part of a sale. Units 1..`next` are each in `free`, in
//! `held` or nobody's (the audit finds those); units `next + 1`..`top` are on offer as a range and in neither.
//!
//! Memory is bounded by `top`. For 100,000 units, the most that a spike may have, sold one each to 100,000 buyers, Redis
//! 7.0 with jemalloc shows (`used_memory` of `INFO memory` before and after, `MEMORY USAGE key SAMPLES 0`): 46 MiB while
//! every reservation is pending (`buyers` 12.4, `held` 13.2, `pending` 17.5), 27 MiB when all are acknowledged, 5.5 MiB
//! when all are released (`free` 4.6). Verdicts come on top, for 30 s each.

use std::fmt::Write as _;

use domain::{SpikeId, UserId};

/// Set when every live sale has been loaded.
pub(crate) const COMPLETE: &str = "spike:complete";

/// The house's holder in `held`.
///
/// A retired unit stays held by the house for ever, so that nobody offers it again: neither `offer` with an old view of
/// the store nor the range. `load` and `learn` write it too.
pub(crate) const HOUSE: &str = "#retire";

/// The keys of one spike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Sale,
    Free,
    Buyers,
    Held,
    Pending,
    Retiring,
    Access(UserId),
    Loading,
    Auditing,
}

impl Key {
    /// The key's name in Redis.
    pub(crate) fn of(self, spike_id: SpikeId) -> String {
        let mut name = String::with_capacity(96);
        // Writing to a string cannot fail.
        let _ = write!(name, "spike:{{{spike_id}}}:{}", self.kind());
        if let Self::Access(user_id) = self {
            let _ = write!(name, ":{user_id}");
        }
        name
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Free => "free",
            Self::Buyers => "buyers",
            Self::Held => "held",
            Self::Pending => "pending",
            Self::Retiring => "retiring",
            Self::Access(_) => "access",
            Self::Loading => "loading",
            Self::Auditing => "auditing",
        }
    }
}
