//! `POST /users/refresh`.

use auth::{Caller, Grant, refresh_token};
use axum::extract::State;
use runtime::extract::Json;
use store::{Rotation, Session};

use crate::{AppState, Error, Presented};

/// Exchanges a refresh token for a new access token and a new refresh token.
///
/// The old refresh token is spent. If it is used again, every token of its login is revoked; so a client whose call got
/// no answer logs in again. Roles are those that the account has now.
#[utoipa::path(
    post,
    path = "/users/refresh",
    tag = "accounts",
    request_body(content = Presented, example = json!({"refresh_token": "3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs"})),
    responses((status = 200, description = "Prolonged.", body = Grant)),
)]
pub(crate) async fn refresh(
    State(app): State<AppState>,
    Json(Presented { hash }): Json<Presented>,
) -> Result<Json<Grant>, Error> {
    let now = (app.clock)();
    let hash = hash.ok_or(Error::BadRefreshToken)?;
    let session = app
        .store
        .session(&hash, now)
        .await?
        .ok_or(Error::BadRefreshToken)?;
    let user = app.store.user(session.user_id).await?;
    // An operator who replaces a password ends the sessions of the one before.
    let user = user
        .filter(|user| user.credentials_version == session.credentials_version)
        .ok_or(Error::BadRefreshToken)?;
    let minted = refresh_token::mint();
    let next = Session {
        token_hash: minted.hash,
        expires_at: now + refresh_token::LIFETIME,
        ..session
    };
    match app.store.rotate_session(&hash, &next, now).await? {
        Rotation::Rotated => {}
        Rotation::Unknown | Rotation::Revoked => return Err(Error::BadRefreshToken),
        Rotation::Reused(user_id) => {
            tracing::warn!(
                event.name = "refresh-token-reused",
                user.id = %user_id,
                "a spent refresh token came again; its family is revoked"
            );
            return Err(Error::BadRefreshToken);
        }
    }
    let caller = Caller {
        user_id: user.id,
        roles: user.roles,
    };
    Ok(Json(Grant::issue(
        &app.signing_key,
        &caller,
        minted.text,
        now,
    )?))
}
