//! `sweeper`: finishes whatever was left half-done, and repairs what Redis forgot.
//!
//! Trigger: a timer, delivered as `POST /timers/sweep` (private), and on demand. Environment: `STORE_URL`, `STOCK_URL`,
//! `EVENTS_URL` (or `K_SINK`); `REPEAT_SECS`, for how long a run publishes again every five seconds while a sale is open (0
//! to 50, default 50: for a timer that calls once a minute). Statuses: 200 with what was done, 503 if the store cannot even
//! list the spikes.
//!
//! Every step repeats something idempotent or compares before it writes, so any number of sweepers may run at once and
//! each may stop anywhere.

mod audit;
mod due;
mod error;
mod publish;
mod repeat;
mod spike;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, extract::State, routing::post};
use domain::{Spike, SpikeId, Timestamp};
use events::EventSink;
use futures::{StreamExt, stream};
use payments::Payments;
use runtime::extract::Json;
use serde::Serialize;
use stock::Stock;
use store::Store;
use tokio::time::Instant;

use spike::Levels;

pub use error::Error;
pub use repeat::Repeat;

/// How many spikes are swept at once.
const SPIKES_AT_ONCE: usize = 8;
/// How long orders that are due may take; what is left is the next run's.
const SETTLE_WITHIN: Duration = Duration::from_secs(20);

/// What the sweeper needs.
#[derive(Clone)]
pub struct AppState {
    store: Arc<dyn Store>,
    stock: Stock,
    sink: Arc<dyn EventSink>,
    payments: Arc<dyn Payments>,
    /// When this process last looked for open orders of spikes that Redis no longer has.
    looked: Arc<Mutex<HashMap<SpikeId, Timestamp>>>,
    repeat: Option<Repeat>,
}

impl AppState {
    /// Sweeps between `store` and `stock`; publishes what is pending to `sink`, and asks `payments` about orders that end.
    /// Each run does so once.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        stock: Stock,
        sink: Arc<dyn EventSink>,
        payments: Arc<dyn Payments>,
    ) -> Self {
        Self {
            store,
            stock,
            sink,
            payments,
            looked: Arc::default(),
            repeat: None,
        }
    }

    /// The same, but while a sale is open a run goes on publishing.
    #[must_use]
    pub fn repeating(self, repeat: Repeat) -> Self {
        Self {
            repeat: Some(repeat),
            ..self
        }
    }

    /// Whether this process may look at all the spike's orders now: once in `every`, since nothing else notes that it did.
    fn may_look(&self, spike_id: SpikeId, every: Duration) -> bool {
        let now = self.stock.now();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.retain(|_, at| now.since(*at) < every);
        let may_look = !looked.contains_key(&spike_id);
        looked.entry(spike_id).or_insert(now);
        may_look
    }
}

/// What a run did.
///
/// ```json
/// {"spikes":1,"failed":0,"absent":0,"published":0,"expired":0,"paid":0,"released":0,"loaded":0,"configured":0,"retired":0,
///  "audited":1,"repaired":0,"incidents":0,"closed":0,"shelved":0}
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub struct Summary {
    /// Spikes looked at.
    pub spikes: u32,
    /// Spikes whose sweep failed or ran out of time; the next run takes them up again.
    pub failed: u32,
    /// Live sales that Redis still lacks: somebody else is loading them.
    pub absent: u32,
    /// Pending reservations published again.
    pub published: u32,
    /// Orders that expired.
    pub expired: u32,
    /// Orders past their deadline whose money had come: they are paid.
    pub paid: u32,
    /// Ended orders whose release was finished.
    pub released: u32,
    /// Sales loaded into Redis.
    pub loaded: u32,
    /// Sales whose configuration in Redis was behind.
    pub configured: u32,
    /// Units that the house took back.
    pub retired: u32,
    /// Sales audited.
    pub audited: u32,
    /// Differences between store and Redis that an audit repaired. What other steps make good is among their own numbers.
    pub repaired: u32,
    /// Differences that an audit found for the second time, and orders that cannot be ended.
    pub incidents: u32,
    /// Sales closed after their end.
    pub closed: u32,
    /// Sales dropped from Redis.
    pub shelved: u32,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.spikes += other.spikes;
        self.failed += other.failed;
        self.absent += other.absent;
        self.published += other.published;
        self.expired += other.expired;
        self.paid += other.paid;
        self.released += other.released;
        self.loaded += other.loaded;
        self.configured += other.configured;
        self.retired += other.retired;
        self.audited += other.audited;
        self.repaired += other.repaired;
        self.incidents += other.incidents;
        self.closed += other.closed;
        self.shelved += other.shelved;
    }
}

/// The private route of the sweeper; never reachable from the public address.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/timers/sweep", post(sweep))
        .with_state(state)
}

async fn sweep(State(app): State<AppState>) -> Result<Json<Summary>, Error> {
    let summary = run(&app).await?;
    if summary
        != (Summary {
            spikes: summary.spikes,
            ..Summary::default()
        })
    {
        tracing::info!(?summary, "swept");
    }
    Ok(Json(summary))
}

/// Sweeps once: publishes what is pending, then settles orders that are due while it sweeps every live spike. One that
/// fails does not stop the others. Where a run [repeats](Repeat), what has become pending meanwhile is published, too.
pub async fn run(app: &AppState) -> Result<Summary, Error> {
    let begun_at = Instant::now();
    let spikes = app.store.live_spikes().await?;
    let mut summary = Summary::default();
    let unpublished = publish::publish_all(app, &spikes, &mut summary).await;
    let (swept, again) = tokio::join!(
        settle_and_sweep(app, &spikes, &unpublished),
        repeat::publish_again(app, &spikes, begun_at),
    );
    summary += swept;
    summary += again;
    Ok(summary)
}

/// All steps but the first.
async fn settle_and_sweep(
    app: &AppState,
    spikes: &[Spike],
    unpublished: &HashSet<SpikeId>,
) -> Summary {
    let mut settled = Summary::default();
    let (settling, mut summary) = tokio::join!(
        tokio::time::timeout(SETTLE_WITHIN, due::settle(app, &mut settled)),
        sweep_all(app, spikes, unpublished),
    );
    match settling {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "due orders are left to the next run"),
        Err(_) => tracing::warn!("more orders are due than one run settles"),
    }
    summary += settled;
    if summary.failed == 0
        && summary.absent == 0
        && let Err(error) = app.stock.mark_complete().await
    {
        tracing::warn!(%error, "Redis is away");
    }
    summary
}

async fn sweep_all(app: &AppState, spikes: &[Spike], unpublished: &HashSet<SpikeId>) -> Summary {
    let mut summary = Summary::default();
    let mut levels = Vec::new();
    let mut sweeps = stream::iter(spikes.to_vec())
        .map(|listed| async move { (listed.id, spike::sweep(app, &listed).await) })
        .buffer_unordered(SPIKES_AT_ONCE);
    while let Some((id, (mut swept, seen))) = sweeps.next().await {
        swept.failed |= u32::from(unpublished.contains(&id));
        summary += swept;
        levels.extend(seen.map(|seen| (id, seen)));
    }
    show(&levels);
    summary
}

/// Shows whoever watches what the sales in Redis look like.
fn show(levels: &[(SpikeId, Levels)]) {
    let each = |value: fn(&Levels) -> f64| {
        let levels = levels.iter();
        levels.map(move |(id, seen)| (id.to_string(), value(seen)))
    };
    observe::FREE.replace(each(|seen| seen.free.into()));
    observe::PENDING.replace(each(|seen| seen.pending.into()));
    observe::PENDING_AGE.replace(each(|seen| seen.oldest_pending.as_secs_f64()));
}

#[cfg(test)]
mod tests;
