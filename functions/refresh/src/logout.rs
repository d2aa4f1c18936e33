//! `POST /users/logout`.

use axum::{extract::State, http::StatusCode};
use runtime::extract::Json;

use crate::{AppState, Error, Presented};

/// Logs out: no token of this login can be refreshed any more. Access tokens end by themselves within 15 minutes.
///
/// Safe to repeat, and says the same about a token that nobody knows.
#[utoipa::path(
    post,
    path = "/users/logout",
    tag = "accounts",
    request_body(content = Presented, example = json!({"refresh_token": "3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs"})),
    responses((status = 204, description = "Logged out, now or before.")),
)]
pub(crate) async fn logout(
    State(app): State<AppState>,
    Json(Presented { hash }): Json<Presented>,
) -> Result<StatusCode, Error> {
    if let Some(hash) = hash {
        app.store.revoke_session(&hash, (app.clock)()).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
