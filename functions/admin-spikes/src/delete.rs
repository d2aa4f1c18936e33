//! `DELETE /admin/spikes/{spike_id}`: only before the start.
//!
//! The sale may start between any two steps, so it is paused first: in the store, then in Redis. What is paused in Redis
//! before the start, and before anybody has bought, stays so and can be deleted (ADR 33). Whatever goes wrong on the way
//! leaves a paused spike.

use auth::Admin;
use axum::{extract::State, http::StatusCode};
use domain::{Gate, Spike, SpikeId};
use runtime::extract::{IfMatch, Path};
use stock::Config;

use crate::{
    AppState, Error,
    apply::{apply, update},
};

/// Deletes a spike that has not started.
///
/// It is paused first, so that it cannot start meanwhile; if Redis does not answer, it stays paused.
#[utoipa::path(
    delete, path = "/admin/spikes/{spike_id}", tag = "admin", operation_id = "delete_spike",
    params(
        ("spike_id" = SpikeId, Path, description = "The spike."),
        ("If-Match" = String, Header, description = "The `ETag` of what was read."),
    ),
    security(("bearer" = [])),
    responses((status = 204, description = "The spike is gone.")),
)]
pub(crate) async fn delete(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(spike_id): Path<SpikeId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Error> {
    let now = app.stock.now();
    let paused = update(&app, spike_id, |was| {
        if was.version != version {
            return Err(Error::Mismatch);
        }
        if now >= was.settings.starts_at {
            return Err(Error::Started);
        }
        Ok((!was.paused).then(|| Spike {
            paused: true,
            version: version + 1,
            ..was.clone()
        }))
    })
    .await?;
    apply(&app, &paused).await?;
    // Redis may have lost whom it sold to since the start, and their orders may still be on their way.
    let has_started = app.stock.now() >= paused.settings.starts_at;
    if has_started || is_bought_from(&app, spike_id).await? {
        if paused.version != version {
            resume(&app, &paused).await?;
        }
        return Err(Error::Started);
    }
    if !app.store.delete_spike(spike_id, paused.version).await? {
        return Err(Error::Mismatch);
    }
    tracing::info!(spike.id = %spike_id, caller.id = %caller.user_id, "spike deleted");
    failpoint::pass("admin-spikes.deleted");
    if let Err(error) = forget(&app, &paused).await {
        // A few hundred bytes stay in Redis that nobody can reach.
        tracing::warn!(spike.id = %spike_id, error = &error as &dyn std::error::Error, "the sale stays in Redis");
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn is_bought_from(app: &AppState, spike_id: SpikeId) -> Result<bool, Error> {
    let sale = app.stock.sale(spike_id).await?;
    Ok(sale.is_some_and(|sale| sale.buyers > 0 || sale.pending > 0))
}

/// Undoes the pause: the sale had begun.
async fn resume(app: &AppState, paused: &Spike) -> Result<(), Error> {
    let resumed = update(app, paused.id, |was| {
        let ours = was.version == paused.version;
        if was.paused && !ours {
            tracing::warn!(spike.id = %was.id, spike.version = was.version, "changed meanwhile: the sale stays paused");
        }
        Ok(ours.then(|| Spike {
            paused: false,
            version: was.version + 1,
            ..was.clone()
        }))
    })
    .await?;
    apply(app, &resumed).await
}

/// Nobody can load it again: whoever has read it loads only while they have the lock, which goes with the sale.
async fn forget(app: &AppState, spike: &Spike) -> Result<(), stock::Error> {
    let closed = Config {
        gate: Gate::Closed,
        ..Config::of(spike)
    };
    // Once more if Redis had lost the sale and somebody has loaded it just now.
    for _ in 0..2 {
        app.stock.configure(&closed).await?;
        if app.stock.drop_sale(spike.id).await? {
            break;
        }
    }
    Ok(())
}
