//! What is for sale, as it was at most a second ago.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cache::Fetched;
use domain::{Clock, Spike, SpikeId};
use futures::{StreamExt, stream};
use sale::Catalog;
use stock::{Sale, Stock};
use store::Store;

use crate::Error;

const KEPT_FOR: Duration = Duration::from_secs(1);
const MOST_SPIKES: usize = 1_000;
/// How many spikes are looked up in Redis at once.
const AT_ONCE: usize = 16;

/// A spike, and how many of its units can be bought.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) spike: Arc<Spike>,
    /// `None` while Redis is away or does not have the sale.
    pub(crate) left: Option<u32>,
}

impl Item {
    fn new(spike: Arc<Spike>, sale: Option<&Sale>) -> Self {
        // A spike that was never loaded has sold nothing.
        let untouched = (spike.epoch == 0).then(|| spike.live_units());
        Self {
            left: sale.map(|sale| sale.left).or(untouched),
            spike,
        }
    }
}

/// The spikes that one instance has read.
#[derive(Clone)]
pub(crate) struct Shelf {
    store: Arc<dyn Store>,
    stock: Stock,
    catalog: Catalog,
    all: Fetched<(), Arc<Vec<Item>>, Error>,
    each: Fetched<SpikeId, Item, Error>,
}

impl Shelf {
    pub(crate) fn new(store: Arc<dyn Store>, stock: Stock, clock: &Clock) -> Self {
        Self {
            catalog: Catalog::new(Arc::clone(&store), Arc::clone(clock)),
            all: Fetched::new(1, KEPT_FOR, Arc::clone(clock)),
            each: Fetched::new(MOST_SPIKES, KEPT_FOR, Arc::clone(clock)),
            store,
            stock,
        }
    }

    /// All live spikes, by their end.
    pub(crate) async fn all(&self) -> Result<Arc<Vec<Item>>, Error> {
        self.all.get(&(), self.read_all()).await
    }

    async fn read_all(&self) -> Result<Arc<Vec<Item>>, Error> {
        let spikes = self.store.live_spikes().await?;
        let away = AtomicBool::new(false);
        let items = stream::iter(spikes)
            .map(|spike| self.count(spike, &away))
            .buffered(AT_ONCE);
        Ok(Arc::new(items.collect().await))
    }

    /// One spike; once Redis has failed to answer for another one it is not asked for this one.
    async fn count(&self, spike: Spike, away: &AtomicBool) -> Item {
        if away.load(Ordering::Relaxed) {
            return Item {
                spike: Arc::new(spike),
                left: None,
            };
        }
        let sale = self.stock.sale(spike.id).await;
        away.fetch_or(sale.is_err(), Ordering::Relaxed);
        match sale {
            Ok(sale) => Item::new(Arc::new(spike), sale.as_ref()),
            Err(_) => Item {
                spike: Arc::new(spike),
                left: None,
            },
        }
    }

    /// One spike, live or not.
    pub(crate) async fn one(&self, spike_id: SpikeId) -> Result<Item, Error> {
        self.each.get(&spike_id, self.read_one(spike_id)).await
    }

    async fn read_one(&self, spike_id: SpikeId) -> Result<Item, Error> {
        let mut spike = self.catalog.spike(spike_id).await?.ok_or(Error::NoSpike)?;
        let Ok(sale) = self.stock.sale(spike_id).await else {
            return Ok(Item { spike, left: None });
        };
        // Redis learns of an admin's change at once, the catalog within ten seconds.
        if sale
            .as_ref()
            .is_some_and(|sale| sale.version > spike.version)
        {
            spike = self.catalog.fresh(spike_id).await?.ok_or(Error::NoSpike)?;
        }
        Ok(Item::new(spike, sale.as_ref()))
    }
}
