//! Bringing a sale into Redis: at its making, and after Redis has lost it.

use std::collections::BTreeMap;

use domain::{OrderId, SpikeId, Unit, Units, UserId};
use stock::{Config, Load, Loaded, LoadingLock, Stock, Supply};
use store::{Claim, Holder, Store};

use crate::Error;

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
/// claims it (rule 8) and by the audit that follows every load. A spike that was shelved is live again, so that what is loaded is swept and shelved in its turn.
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
        _ => known(spike.top, &store.claims(spike.id, 1, spike.top).await?),
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
    tracing::info!(spike.id = %spike.id, epoch, outcome = ?loaded, "sale loaded");
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
