//! `POST /spikes/{spike_id}/token`.

use auth::{PathTokens, User};
use axum::extract::State;
use domain::{SpikeId, Timestamp};
use runtime::extract::{Json, Path};
use serde::{Deserialize, Serialize};

use crate::{AppState, Error};

#[derive(Deserialize)]
pub(crate) struct SpikePath {
    spike_id: SpikeId,
}

/// A path token.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "token": "mJ8vX2n0Qk1yq3uPz7dLbA",
    "valid_until": "2026-11-22T10:02:00.000Z",
    "server_time": "2026-11-22T10:00:12.345Z"
}))]
pub struct IssuedToken {
    /// The last part of the purchase's path; 22 characters of base64url.
    pub token: String,
    /// Until when it is accepted: one to two minutes.
    pub valid_until: Timestamp,
    /// Redis' time.
    pub server_time: Timestamp,
}

/// The caller's path token for this spike, once the sale has opened.
#[utoipa::path(
    post,
    path = "/spikes/{spike_id}/token",
    operation_id = "issue_path_token",
    tag = "buying",
    params(("spike_id" = SpikeId, Path, description = "The spike.")),
    responses((status = 200, description = "The token.", body = IssuedToken)),
    security(("bearer" = [])),
)]
pub(crate) async fn issue(
    State(AppState(app)): State<AppState>,
    User(caller): User,
    Path(SpikePath { spike_id }): Path<SpikePath>,
) -> Result<Json<IssuedToken>, Error> {
    let window = app.windows.window(spike_id).await?;
    let server_time = app.stock.now();
    window.check(server_time)?;
    Ok(Json(IssuedToken {
        token: app.path_tokens.token(spike_id, caller.user_id, server_time),
        valid_until: PathTokens::valid_until(server_time),
        server_time,
    }))
}
