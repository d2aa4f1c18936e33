//! Sweeping one spike.

use std::time::Duration;

use domain::{Gate, Spike};
use sale::{LoadOutcome, Loadable};
use stock::{Config, Configured, Sale};
use store::Mark;

use crate::{AppState, Summary, audit, publish};

/// How long one spike may take before the others' turn; what is left is the next run's.
const DEADLINE: Duration = Duration::from_secs(30);
/// How often a sale is audited when nothing asks for it.
const AUDIT_EVERY: Duration = Duration::from_mins(5);
/// How long an ended sale stays in Redis.
const SHELVE_AFTER: Duration = Duration::from_hours(24);

/// Sweeps the spike and says what was done; a failure is logged and counted.
pub(crate) async fn sweep(app: &AppState, listed: &Spike) -> Summary {
    let mut summary = Summary {
        spikes: 1,
        ..Summary::default()
    };
    let swept = tokio::time::timeout(DEADLINE, steps(app, listed, &mut summary)).await;
    match swept {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            summary.failed = 1;
            tracing::warn!(spike.id = %listed.id, %error, "sweep left to the next run");
        }
        Err(_) => {
            summary.failed = 1;
            tracing::warn!(spike.id = %listed.id, "sweep ran out of time");
        }
    }
    summary
}

async fn steps(app: &AppState, listed: &Spike, summary: &mut Summary) -> Result<(), sale::Error> {
    // The listing may lag behind an admin's write.
    let Some(mut spike) = app
        .store
        .spike(listed.id)
        .await?
        .filter(|spike| !spike.shelved)
    else {
        return Ok(());
    };
    let now = app.stock.now();
    if now >= spike.settings.ends_at && !spike.closed {
        if !app.store.mark_spike(&spike, Mark::Closed).await? {
            return Ok(()); // An admin has changed it; the next run looks again.
        }
        spike.closed = true;
        summary.closed = 1;
    }
    let Some(sale) = present(app, &spike, summary).await? else {
        return shelve_absent(app, &spike, summary).await;
    };
    configure(app, &spike, &sale, summary).await?;
    summary.published = publish::publish_due(app, spike.id).await?;
    if sale.top < spike.top {
        app.stock
            .offer(spike.id, spike.top, &domain::Units::none())
            .await?;
    }
    summary.retired = sale::retire_to_target(app.store.as_ref(), &app.stock, &spike).await?;
    let audited_lately = sale
        .audited_at
        .is_some_and(|at| now.since(at) < AUDIT_EVERY);
    if sale.audit_wanted || !audited_lately {
        audit::audit(app, &spike, summary).await?;
    }
    if now >= spike.settings.ends_at + SHELVE_AFTER {
        shelve(app, &spike, summary).await?;
    }
    Ok(())
}

/// The sale in Redis, loaded if it has gone and the spike has not ended.
async fn present(
    app: &AppState,
    spike: &Spike,
    summary: &mut Summary,
) -> Result<Option<Sale>, sale::Error> {
    if let Some(sale) = app.stock.sale(spike.id).await? {
        return Ok(Some(sale));
    }
    let outcome = sale::load(app.store.as_ref(), &app.stock, spike.id, Loadable::Live).await?;
    summary.loaded += u32::from(outcome == LoadOutcome::Loaded);
    Ok(app.stock.sale(spike.id).await?)
}

async fn configure(
    app: &AppState,
    spike: &Spike,
    sale: &Sale,
    summary: &mut Summary,
) -> Result<(), sale::Error> {
    if sale.version < spike.version || sale.gate != spike.gate() {
        let configured = app.stock.configure(&Config::of(spike)).await?;
        summary.configured += u32::from(configured == Configured::Applied);
    }
    Ok(())
}

/// Drops an ended sale from Redis, once an audit finds it as the store has it and nothing is open any more.
async fn shelve(app: &AppState, spike: &Spike, summary: &mut Summary) -> Result<(), sale::Error> {
    let mut last = Summary::default();
    audit::audit(app, spike, &mut last).await?;
    let settled = last.audited == 1 && last.repaired == 0 && spike.gate() == Gate::Closed;
    if settled
        && !audit::has_open_orders(app, spike).await?
        && app.stock.drop_sale(spike.id).await?
    {
        let shelved = app.store.mark_spike(spike, Mark::Shelved).await?;
        summary.shelved += u32::from(shelved);
    }
    Ok(())
}

/// Shelves a sale that Redis no longer has, a day after its end.
async fn shelve_absent(
    app: &AppState,
    spike: &Spike,
    summary: &mut Summary,
) -> Result<(), sale::Error> {
    let over = app.stock.now() >= spike.settings.ends_at + SHELVE_AFTER;
    if over && !audit::has_open_orders(app, spike).await? {
        let shelved = app.store.mark_spike(spike, Mark::Shelved).await?;
        summary.shelved += u32::from(shelved);
    }
    Ok(())
}
