//! `GET /spikes/{spike_id}/access`.

use std::{sync::Arc, time::Duration};

use auth::User;
use axum::extract::State;
use domain::{Spike, SpikeId, UserId, Verdict};
use runtime::extract::{Json, Path};
use sale::Loadable;
use serde::{Deserialize, Serialize};

use crate::{AppState, Error, Instance};

const LOOK_AFTER_EVERY: Duration = Duration::from_secs(5);
const LOAD_DEADLINE: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
pub(crate) struct SpikePath {
    spike_id: SpikeId,
}

/// Whether the caller may buy.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({ "allowed": false, "reason": "Only for adults." }))]
pub struct Access {
    /// Whether all access rules of the spike hold for the caller.
    pub allowed: bool,
    /// If not, the reason of the first rule that does not hold.
    pub reason: Option<String>,
}

impl From<Verdict> for Access {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allowed => Self {
                allowed: true,
                reason: None,
            },
            Verdict::Denied(reason) => Self {
                allowed: false,
                reason: Some(reason),
            },
        }
    }
}

/// Whether this spike's access rules admit the caller. A verdict holds for 30 s.
#[utoipa::path(
    get,
    path = "/spikes/{spike_id}/access",
    operation_id = "check_access",
    tag = "buying",
    params(("spike_id" = SpikeId, Path, description = "The spike.")),
    responses((status = 200, description = "The verdict.", body = Access)),
    security(("bearer" = [])),
)]
pub(crate) async fn check(
    State(AppState(app)): State<AppState>,
    User(caller): User,
    Path(SpikePath { spike_id }): Path<SpikePath>,
) -> Result<Json<Access>, Error> {
    let spike = app.catalog.spike(spike_id).await?.ok_or(Error::NoSpike)?;
    look_after(&app, &spike).await;
    let verdict = verdict(&app, &spike, caller.user_id).await?;
    Ok(Json(Access::from(verdict)))
}

/// The verdict in Redis, else a new one. Redis away costs the memory, not the answer.
async fn verdict(app: &Instance, spike: &Spike, user_id: UserId) -> Result<Verdict, Error> {
    if spike.settings.rules.is_empty() {
        return Ok(Verdict::Allowed);
    }
    if let Ok(Some(verdict)) = app.stock.verdict(spike.id, user_id).await {
        return Ok(verdict);
    }
    let verdict = app.admission.verdict(spike, user_id).await?;
    if let Err(error) = app
        .stock
        .remember_verdict(spike.id, user_id, &verdict)
        .await
    {
        tracing::debug!(spike.id = %spike.id, %error, "verdict not remembered");
    }
    Ok(verdict)
}

/// Loads a live spike that Redis does not have, at most one try in a while. The buyer's answer does not depend on it,
/// so failures are left to the next one; but it comes after it, because a path token is what buyers ask for next.
async fn look_after(app: &Instance, spike: &Spike) {
    if spike.has_ended(app.stock.now()) || app.looked_after.get(&spike.id).is_some() {
        return;
    }
    app.looked_after.insert_for(spike.id, (), LOOK_AFTER_EVERY);
    let (store, stock, spike_id) = (Arc::clone(&app.store), app.stock.clone(), spike.id);
    let load = tokio::spawn(async move {
        if let Ok(None) = stock.sale(spike_id).await
            && let Err(error) = sale::load(&*store, &stock, spike_id, Loadable::Live).await
        {
            tracing::warn!(spike.id = %spike_id, %error, "load left to the next buyer");
        }
    });
    // Too late is as good as failed; the task goes on by itself.
    let _ = tokio::time::timeout(LOAD_DEADLINE, load).await;
}
