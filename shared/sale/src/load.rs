//! Bringing a sale into Redis: at its making, and after Redis has lost it.

use std::collections::BTreeMap;

use domain::{OrderId, Spike, SpikeId, Unit, Units, UserId};
use stock::{Config, Load, Loaded, LoadingLock, Stock, Supply};
use store::{Claim, Holder, Store};

use crate::Error;

/// How many units' claims are read between two looks at the lock: a store that answers within its deadlines reads them within
/// the lock's five seconds.
const CHUNK: Unit = 5_000;

/// Which spikes may be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loadable {
    /// Only one that has not ended: nobody buys from an ended one.
    Live,
    /// An ended one too: an order that was accepted before the end still has to get its units.
    Ended,
}

/// What came of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadOutcome {
    /// The sale is in Redis now.
    Loaded,
    /// It was there.
    Present,
    /// Somebody else is loading it.
    Busy,
    /// The spike is over.
    Ended,
    /// There is no such spike.
    Unknown,
}

/// Fills Redis with the sale, from the store's claims, if it is absent there.
///
/// One loader per spike works at a time. A second one does no harm: a sale that is present is never loaded again, and one
/// whose lock has lapsed since it read the store loads nothing (ADR 32). What is wrong with a unit is found when somebody
/// claims it (rule 8) and by the audit that follows every load. A spike that was shelved is live again, so that what is
/// loaded is swept and shelved in its turn.
pub async fn load(
    store: &dyn Store,
    stock: &Stock,
    spike_id: SpikeId,
    loadable: Loadable,
) -> Result<LoadOutcome, Error> {
    let Some(spike) = store.spike(spike_id).await? else {
        return Ok(LoadOutcome::Unknown);
    };
    if loadable == Loadable::Live && spike.has_ended(stock.now()) {
        return Ok(LoadOutcome::Ended);
    }
    let Some(lock) = stock.lock_loading(spike_id).await? else {
        return Ok(LoadOutcome::Busy);
    };
    let filled = fill(store, stock, spike_id, &lock).await;
    if filled.is_err() {
        // The lock lapses by itself; giving it back only spares the next loader the wait.
        let _ = stock.unlock_loading(lock).await;
    }
    filled
}

async fn fill(
    store: &dyn Store,
    stock: &Stock,
    spike_id: SpikeId,
    lock: &LoadingLock,
) -> Result<LoadOutcome, Error> {
    let Some(epoch) = store.next_epoch(spike_id).await? else {
        return Ok(LoadOutcome::Unknown);
    };
    // Read under the lock: it may have been changed, or deleted, since.
    let Some(spike) = store.spike(spike_id).await? else {
        return Ok(LoadOutcome::Unknown);
    };
    // A spike that was never loaded has sold nothing: there is nothing to read.
    let supply = match epoch {
        1 => Supply::Untouched,
        _ => match claims(store, stock, &spike, lock).await? {
            Some(claims) => known(spike.top, &claims),
            None => return Ok(LoadOutcome::Busy),
        },
    };
    let load = Load {
        config: Config::of(&spike),
        top: spike.top,
        epoch,
        supply,
    };
    failpoint::pass("sale.counted");
    let loaded = stock.load(&load, lock).await?;
    failpoint::pass("sale.loaded");
    match loaded {
        Loaded::Late => {
            tracing::warn!(spike.id = %spike.id, epoch, "a load came too late: its lock had lapsed");
        }
        Loaded::Filled | Loaded::Present => {
            tracing::info!(spike.id = %spike.id, epoch, outcome = ?loaded, "sale loaded");
        }
    }
    // The first load is ordinary, and so is that of a sale that was dropped on purpose.
    if epoch > 1 && !spike.shelved && loaded == Loaded::Filled {
        observe::REPAIRED.add(1, [&"not-loaded", &spike.id]);
        tracing::warn!(spike.id = %spike.id, epoch, "Redis had lost the sale");
    }
    Ok(match loaded {
        Loaded::Filled => LoadOutcome::Loaded,
        Loaded::Present => LoadOutcome::Present,
        Loaded::Late => LoadOutcome::Busy,
    })
}

/// All claims of the spike; none if somebody else loads it by now. The lock is kept while there is progress.
async fn claims(
    store: &dyn Store,
    stock: &Stock,
    spike: &Spike,
    lock: &LoadingLock,
) -> Result<Option<Vec<Claim>>, Error> {
    let mut claims = Vec::new();
    for first in (1..=spike.top).step_by(CHUNK as usize) {
        if first > 1 && !stock.keep_loading(lock).await? {
            tracing::warn!(spike.id = %spike.id, first, "a loader's lock has lapsed while it read the store");
            return Ok(None);
        }
        let last = spike.top.min(first + CHUNK - 1);
        claims.extend(store.claims(spike.id, first, last).await?);
    }
    Ok(Some(claims))
}

fn known(top: Unit, claims: &[Claim]) -> Supply {
    let mut orders: BTreeMap<(OrderId, UserId), Vec<Unit>> = BTreeMap::new();
    let mut retired = Vec::new();
    for claim in claims {
        match claim.holder {
            Holder::Order { order_id, user_id } => orders
                .entry((order_id, user_id))
                .or_default()
                .push(claim.unit),
            Holder::House => retired.push(claim.unit),
        }
    }
    let taken: Units = claims.iter().map(|claim| claim.unit).collect();
    let claim = |((order_id, user_id), units): ((OrderId, UserId), Vec<Unit>)| stock::Claim {
        order_id,
        user_id,
        units: units.into_iter().collect(),
    };
    Supply::Known {
        free: (1..=top).filter(|unit| !taken.contains(*unit)).collect(),
        claims: orders.into_iter().map(claim).collect(),
        retired: retired.into_iter().collect(),
    }
}
