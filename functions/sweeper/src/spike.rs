//! Sweeping one spike.

use std::time::Duration;

use domain::{Gate, Spike, Timestamp};
use sale::{LoadOutcome, Loadable};
use stock::{Config, Configured, Sale};
use store::Mark;

use crate::{AppState, Summary, audit};

/// How long one spike may take before the others' turn; what is left is the next run's. The lease of an audit is a little
/// longer.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long lowering stock may take of that.
const LOWER_WITHIN: Duration = Duration::from_secs(10);
/// How often a sale is audited when nothing asks for it.
const AUDIT_EVERY: Duration = Duration::from_mins(5);
/// How long an ended sale stays in Redis.
const SHELVE_AFTER: Duration = Duration::from_hours(24);

/// One spike's sweep so far: it survives a failure and the end of its time.
#[derive(Default)]
pub(crate) struct Sweep {
    /// What was done.
    pub(crate) summary: Summary,
    /// What the sale in Redis looked like.
    pub(crate) levels: Option<Levels>,
    /// When the audit began whose lease is held.
    pub(crate) lease: Option<Timestamp>,
    /// The first step that failed. The steps are apart: a Redis that is full takes no configuration, but it can still be
    /// audited.
    failure: Option<sale::Error>,
}

impl Sweep {
    fn note(&mut self, step: Result<(), sale::Error>) {
        if let Err(error) = step {
            self.failure.get_or_insert(error);
        }
    }
}

/// What the sale in Redis looked like when it was swept, for whoever watches.
pub(crate) struct Levels {
    pub(crate) free: u32,
    pub(crate) pending: u32,
    pub(crate) oldest_pending: Duration,
}

/// Sweeps the spike and says what was done and seen; a failure is logged and counted.
pub(crate) async fn sweep(app: &AppState, listed: &Spike) -> (Summary, Option<Levels>) {
    let mut sweep = Sweep::default();
    sweep.summary.spikes = 1;
    let in_time = tokio::time::timeout(DEADLINE, steps(app, listed, &mut sweep)).await;
    if let Some(started_at) = sweep.lease
        && let Err(error) = app.stock.give_up_audit(listed.id, started_at).await
    {
        tracing::warn!(spike.id = %listed.id, %error, "the lease of an audit is left to lapse");
    }
    match (in_time, sweep.failure) {
        (Ok(()), None) => {}
        (Ok(()), Some(error)) => {
            sweep.summary.failed = 1;
            observe::SWEEPS_FAILED.add(1, []);
            tracing::warn!(spike.id = %listed.id, %error, "sweep left to the next run");
        }
        (Err(_), _) => {
            sweep.summary.failed = 1;
            observe::SWEEPS_FAILED.add(1, []);
            tracing::warn!(spike.id = %listed.id, "sweep ran out of time");
        }
    }
    (sweep.summary, sweep.levels)
}

async fn steps(app: &AppState, listed: &Spike, sweep: &mut Sweep) {
    // The listing may lag behind an admin's write.
    let mut spike = match app.store.spike(listed.id).await {
        Ok(Some(spike)) if !spike.shelved => spike,
        Ok(_) => return,
        Err(error) => return sweep.note(Err(error.into())),
    };
    let closed = close(app, &mut spike, sweep).await;
    sweep.note(closed);
    let sale = match present(app, &spike, sweep).await {
        Ok(Some(sale)) => sale,
        Ok(None) => {
            let shelved = shelve_absent(app, &spike, sweep).await;
            return sweep.note(shelved);
        }
        Err(error) => return sweep.note(Err(error)),
    };
    let levels = levels(app, &sale, &spike).await;
    sweep.levels = levels;
    let configured = configure(app, &spike, &sale, sweep).await;
    sweep.note(configured);
    let raised = raise(app, &spike, &sale).await;
    sweep.note(raised);
    let lowered = lower(app, &spike, &sale, sweep).await;
    sweep.note(lowered);
    let audited = audit_or_shelve(app, &spike, &sale, sweep).await;
    sweep.note(audited);
}

/// Nothing while nobody watches, and where Redis does not say.
async fn levels(app: &AppState, sale: &Sale, spike: &Spike) -> Option<Levels> {
    if !observe::PENDING_AGE.is_on() {
        return None;
    }
    let oldest = match sale.pending {
        0 => None,
        _ => app.stock.oldest_pending(spike.id).await.ok()?,
    };
    Some(Levels {
        free: sale.left,
        pending: sale.pending,
        oldest_pending: oldest.map_or(Duration::ZERO, |at| app.stock.now().since(at)),
    })
}

/// Closes a spike that has ended, unless an admin has changed it since it was read: the next run looks again then.
async fn close(app: &AppState, spike: &mut Spike, sweep: &mut Sweep) -> Result<(), sale::Error> {
    if app.stock.now() >= spike.settings.ends_at && !spike.closed {
        spike.closed = app.store.mark_spike(spike, Mark::Closed).await?;
        sweep.summary.closed = u32::from(spike.closed);
    }
    Ok(())
}

/// The sale in Redis, loaded if it has gone and the spike has not ended.
async fn present(
    app: &AppState,
    spike: &Spike,
    sweep: &mut Sweep,
) -> Result<Option<Sale>, sale::Error> {
    if let Some(sale) = app.stock.sale(spike.id).await? {
        return Ok(Some(sale));
    }
    let outcome = sale::load(app.store.as_ref(), &app.stock, spike.id, Loadable::Live).await?;
    sweep.summary.loaded = u32::from(outcome == LoadOutcome::Loaded);
    let sale = app.stock.sale(spike.id).await?;
    sweep.summary.absent = u32::from(sale.is_none() && !spike.has_ended(app.stock.now()));
    Ok(sale)
}

async fn configure(
    app: &AppState,
    spike: &Spike,
    sale: &Sale,
    sweep: &mut Sweep,
) -> Result<(), sale::Error> {
    if sale.version < spike.version || sale.gate != spike.gate() {
        let configured = app.stock.configure(&Config::of(spike)).await?;
        sweep.summary.configured = u32::from(configured == Configured::Applied);
        // Closing a sale that is over is the sweeper's own work; anything else somebody has left undone.
        let is_closing = sale.version == spike.version && spike.gate() == Gate::Closed;
        if configured == Configured::Applied && !is_closing {
            observe::REPAIRED.add(1, [&"not-configured", &spike.id]);
            tracing::warn!(
                spike.id = %spike.id, version = spike.version, was = sale.version, gate = spike.gate().as_str(),
                "a configuration that Redis had missed"
            );
        }
    }
    Ok(())
}

async fn raise(app: &AppState, spike: &Spike, sale: &Sale) -> Result<(), sale::Error> {
    if sale.top < spike.top {
        let none = domain::Units::none();
        let offered = app.stock.offer(spike.id, spike.top, &none).await?;
        if offered > 0 {
            observe::REPAIRED.add(1, [&"not-raised", &spike.id]);
            tracing::warn!(
                spike.id = %spike.id, top = spike.top, was = sale.top, offered,
                "a raise that Redis had missed"
            );
        }
    }
    Ok(())
}

/// Retires units until the target is met, those first that a lowering has left half-done.
async fn lower(
    app: &AppState,
    spike: &Spike,
    sale: &Sale,
    sweep: &mut Sweep,
) -> Result<(), sale::Error> {
    if spike.live_units() <= spike.settings.stock && sale.retiring == 0 {
        return Ok(());
    }
    let retired = &mut sweep.summary.retired;
    let lowering = sale::retire_to_target(app.store.as_ref(), &app.stock, spike, retired);
    let lowered = tokio::time::timeout(LOWER_WITHIN, lowering).await;
    // Without an answer in time the rest is the next run's: it is not a failure that there is much to do.
    lowered.unwrap_or(Ok(()))
}

/// Audits the sale if it is time to. A day after its end it is dropped from Redis, once an audit finds it as the store has
/// it and nothing is open any more.
async fn audit_or_shelve(
    app: &AppState,
    spike: &Spike,
    sale: &Sale,
    sweep: &mut Sweep,
) -> Result<(), sale::Error> {
    let now = app.stock.now();
    let audited_lately = sale
        .audited_at
        .is_some_and(|at| now.since(at) < AUDIT_EVERY);
    if audited_lately && !sale.audit_wanted {
        return Ok(());
    }
    let over = now >= spike.settings.ends_at + SHELVE_AFTER;
    let may_go = over
        && spike.gate() == Gate::Closed
        && sale.pending == 0
        && !audit::has_open_orders(app, spike).await?;
    let in_order = audit::audit(app, spike, sweep).await?;
    if may_go && in_order && app.stock.drop_sale(spike.id).await? {
        let shelved = app.store.mark_spike(spike, Mark::Shelved).await?;
        sweep.summary.shelved = u32::from(shelved);
    }
    Ok(())
}

/// Shelves a sale that Redis no longer has, a day after its end.
async fn shelve_absent(
    app: &AppState,
    spike: &Spike,
    sweep: &mut Sweep,
) -> Result<(), sale::Error> {
    let over = app.stock.now() >= spike.settings.ends_at + SHELVE_AFTER;
    if over && app.may_look(spike.id, AUDIT_EVERY) && !audit::has_open_orders(app, spike).await? {
        let shelved = app.store.mark_spike(spike, Mark::Shelved).await?;
        sweep.summary.shelved = u32::from(shelved);
    }
    Ok(())
}
