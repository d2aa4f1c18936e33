//! What an instance knows of the sales: how many units each has, and which ids are none.
//!
//! Redis is asked first, so that buyers are served while the store is away. The store is asked only about a sale that
//! Redis does not have, and says whether there is such a spike at all.

use std::{sync::Arc, time::Duration};

use cache::{Fetched, Timed};
use domain::{Clock, SpikeId};
use sale::{Catalog, LoadOutcome, Loadable};
use stock::Stock;
use store::Store;

use crate::limits::Limits;

const KNOWN_FOR: Duration = Duration::from_secs(10);
/// How long an id that was found to be a spike is looked up again without the bucket of unknown ids.
const SEEN_FOR: Duration = Duration::from_mins(10);
/// How long the outcome of a load answers those who come after it.
const LOADED_FOR: Duration = Duration::from_millis(100);
const LOAD_DEADLINE: Duration = Duration::from_secs(2);
const MOST_SALES: usize = 1_000;

/// Why there is no number of units.
#[derive(Debug, Clone)]
pub(crate) enum Miss {
    /// There is no such spike.
    Unknown,
    /// Too many unknown ids are being looked up.
    Busy,
    /// Neither Redis nor the store could say.
    Failed(sale::Error),
}

/// The sales of one instance.
pub(crate) struct Sales {
    stock: Stock,
    store: Arc<dyn Store>,
    catalog: Catalog,
    units: Fetched<SpikeId, u32, Miss>,
    seen: Timed<SpikeId, ()>,
    loads: Fetched<SpikeId, LoadOutcome, sale::Error>,
}

impl Sales {
    pub(crate) fn new(
        stock: Stock,
        store: Arc<dyn Store>,
        catalog: Catalog,
        clock: &Clock,
    ) -> Self {
        Self {
            stock,
            store,
            catalog,
            units: Fetched::new(MOST_SALES, KNOWN_FOR, Arc::clone(clock)),
            seen: Timed::new(MOST_SALES, Arc::clone(clock)),
            loads: Fetched::new(MOST_SALES, LOADED_FOR, Arc::clone(clock)),
        }
    }

    /// How many units the spike has, as it was at most 10 s ago.
    pub(crate) async fn units(&self, spike_id: SpikeId, limits: &Limits) -> Result<u32, Miss> {
        self.units
            .get(&spike_id, self.look_up(spike_id, limits))
            .await
    }

    async fn look_up(&self, spike_id: SpikeId, limits: &Limits) -> Result<u32, Miss> {
        if self.catalog.is_unknown(spike_id) {
            return Err(Miss::Unknown);
        }
        if self.seen.get(&spike_id).is_none() && !limits.admits_lookup() {
            return Err(Miss::Busy);
        }
        let sale = self
            .stock
            .sale(spike_id)
            .await
            .map_err(|error| Miss::Failed(error.into()))?;
        let top = match sale {
            Some(sale) => sale.top,
            None => {
                self.catalog
                    .spike(spike_id)
                    .await
                    .map_err(Miss::Failed)?
                    .ok_or(Miss::Unknown)?
                    .top
            }
        };
        self.seen.insert_for(spike_id, (), SEEN_FOR);
        Ok(top)
    }

    /// Brings the sale into Redis, once for all who ask at the same time; `None` if that takes too long.
    ///
    /// The work goes on when the request that began it is dropped; others then find the sale being loaded.
    pub(crate) async fn load(&self, spike_id: SpikeId) -> Result<Option<LoadOutcome>, sale::Error> {
        let load = async {
            let (store, stock) = (Arc::clone(&self.store), self.stock.clone());
            let work = async move { sale::load(&*store, &stock, spike_id, Loadable::Live).await };
            tokio::spawn(work).await.unwrap_or(Ok(LoadOutcome::Busy))
        };
        match tokio::time::timeout(LOAD_DEADLINE, self.loads.get(&spike_id, load)).await {
            Ok(outcome) => outcome.map(Some),
            Err(_) => Ok(None),
        }
    }
}
