//! When sales open and end, as Redis had it at most ten seconds ago.

use std::{sync::Arc, time::Duration};

use cache::{Fetched, Timed};
use domain::{Clock, Gate, SpikeId, Timestamp};
use stock::Stock;

use crate::Error;

const KNOWN_FOR: Duration = Duration::from_secs(10);
/// Shorter than what is known: a spike that was just made is loaded a moment later, and its buyers are waiting.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);
const MOST_KNOWN: usize = 1_000;
const MOST_UNKNOWN: usize = 10_000;

/// One sale's window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    starts_at: Timestamp,
    ends_at: Timestamp,
    closed: bool,
}

impl Window {
    /// Whether the sale is open at `now`. A paused sale is: its buyers keep their tokens for when it goes on.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Error> {
        if self.closed || now >= self.ends_at {
            return Err(Error::Ended);
        }
        match u64::try_from(self.starts_at.since(now).as_millis()) {
            Ok(0) => Ok(()),
            ms => Err(Error::TooEarly {
                ms: ms.unwrap_or(u64::MAX),
            }),
        }
    }
}

/// The windows that one instance remembers.
pub(crate) struct Windows {
    stock: Stock,
    known: Fetched<SpikeId, Window, Error>,
    unknown: Timed<SpikeId, ()>,
}

impl Windows {
    pub(crate) fn new(stock: Stock, clock: Clock) -> Self {
        let known = Fetched::new(MOST_KNOWN, KNOWN_FOR, Arc::clone(&clock));
        Self {
            stock,
            known,
            unknown: Timed::new(MOST_UNKNOWN, clock),
        }
    }

    /// The sale's window, read once for all who ask at the same time.
    pub(crate) async fn window(&self, spike_id: SpikeId) -> Result<Window, Error> {
        if self.unknown.get(&spike_id).is_some() {
            return Err(Error::NoSpike);
        }
        self.known.get(&spike_id, self.read(spike_id)).await
    }

    async fn read(&self, spike_id: SpikeId) -> Result<Window, Error> {
        let Some(sale) = self.stock.sale(spike_id).await? else {
            // Redis forgets this mark with everything else: without it, an absent sale is not an unknown one.
            if !self.stock.is_complete().await? {
                return Err(Error::Loading);
            }
            self.unknown.insert_for(spike_id, (), UNKNOWN_FOR);
            return Err(Error::NoSpike);
        };
        let closed = sale.gate == Gate::Closed;
        Ok(Window {
            starts_at: sale.starts_at,
            ends_at: sale.ends_at,
            closed,
        })
    }
}
