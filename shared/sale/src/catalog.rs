//! Spikes as functions remember them.

use std::{sync::Arc, time::Duration};

use cache::{Fetched, Timed};
use domain::{Clock, Spike, SpikeId};
use store::Store;

use crate::Error;

const KNOWN_FOR: Duration = Duration::from_secs(10);
const UNKNOWN_FOR: Duration = Duration::from_secs(10);
const MOST_KNOWN: usize = 1_000;
const MOST_UNKNOWN: usize = 10_000;

/// Spikes, each read from the store at most every 10 s, once for all who ask at the same time.
///
/// Unknown ids are remembered as long, apart from the known ones: guessing ids drives no spike out.
#[derive(Clone)]
pub struct Catalog {
    store: Arc<dyn Store>,
    known: Fetched<SpikeId, Arc<Spike>, Miss>,
    unknown: Timed<SpikeId, ()>,
}

#[derive(Clone)]
enum Miss {
    Unknown,
    Failed(Error),
}

impl Catalog {
    /// An empty catalog over the store, whose entries age by `clock`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self {
            store,
            known: Fetched::new(MOST_KNOWN, KNOWN_FOR, Arc::clone(&clock)),
            unknown: Timed::new(MOST_UNKNOWN, clock),
        }
    }

    /// The spike, at most 10 s old.
    pub async fn spike(&self, id: SpikeId) -> Result<Option<Arc<Spike>>, Error> {
        if self.is_unknown(id) {
            return Ok(None);
        }
        self.read(id).await
    }

    async fn read(&self, id: SpikeId) -> Result<Option<Arc<Spike>>, Error> {
        let fetch = async {
            match self.store.spike(id).await {
                Ok(Some(spike)) => Ok(Arc::new(spike)),
                Ok(None) => Err(Miss::Unknown),
                Err(error) => Err(Miss::Failed(error.into())),
            }
        };
        match self.known.get(&id, fetch).await {
            Ok(spike) => Ok(Some(spike)),
            Err(Miss::Unknown) => {
                self.unknown.insert_for(id, (), UNKNOWN_FOR);
                Ok(None)
            }
            Err(Miss::Failed(error)) => Err(error),
        }
    }

    /// The spike as it is now, read consistently, for this caller.
    pub async fn fresh(&self, id: SpikeId) -> Result<Option<Arc<Spike>>, Error> {
        self.known.forget(&id);
        self.unknown.remove(&id);
        self.read(id).await
    }

    /// Whether the id was found unknown in the last 10 s.
    #[must_use]
    pub fn is_unknown(&self, id: SpikeId) -> bool {
        self.unknown.get(&id).is_some()
    }
}
