//! Writing a change: to the store, then to Redis.

use std::time::Duration;

use domain::{Spike, SpikeId};
use sale::{LoadOutcome, Loadable};
use stock::{Config, Configured};

use crate::{AppState, Error};

/// How often a change is tried again because of others: units are retired while it moves `top`, or an admin was first.
const WRITES: usize = 20;
/// How often Redis is asked to take a change while somebody else loads the sale.
const APPLICATIONS: usize = 10;
const BETWEEN_APPLICATIONS: Duration = Duration::from_millis(100);

/// Changes a spike in the store. `change` says what becomes of the spike as it is; none if nothing has to.
///
/// A write succeeds only on what was read, so a write that failed is decided again on what is there then: a change of the
/// version is for `change` to see.
pub(crate) async fn update(
    app: &AppState,
    spike_id: SpikeId,
    change: impl Fn(&Spike) -> Result<Option<Spike>, Error>,
) -> Result<Spike, Error> {
    for _ in 0..WRITES {
        let was = app.store.spike(spike_id).await?.ok_or(Error::Unknown)?;
        let Some(now) = change(&was)? else {
            return Ok(was);
        };
        if app.store.replace_spike(&was, &now).await? {
            return Ok(now);
        }
    }
    let contended = "the spike is written by others, again and again";
    Err(store::Error::Unavailable(contended.into()).into())
}

/// Brings the spike's state, times and limit to Redis, and the whole sale where Redis does not have it.
pub(crate) async fn apply(app: &AppState, spike: &Spike) -> Result<(), Error> {
    for _ in 0..APPLICATIONS {
        match app.stock.configure(&Config::of(spike)).await? {
            Configured::Applied | Configured::Current => return Ok(()),
            Configured::NotLoaded => {}
        }
        match sale::load(app.store.as_ref(), &app.stock, spike.id, Loadable::Live).await? {
            LoadOutcome::Loaded | LoadOutcome::Present => {}
            // Nobody buys from a spike that is over.
            LoadOutcome::Ended | LoadOutcome::Unknown => return Ok(()),
            LoadOutcome::Busy => tokio::time::sleep(BETWEEN_APPLICATIONS).await,
        }
    }
    Err(Error::Loading)
}
