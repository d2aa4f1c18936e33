//! `POST /users/login`.

use auth::{Caller, Grant, refresh_token};
use axum::extract::State;
use domain::{Timestamp, User, Username};
use runtime::extract::Json;
use serde::Deserialize;
use store::Session;

use crate::{AppState, Error, back_off};

/// Who wants to log in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    /// The account's name, in any case.
    username: Username,
    /// Its password.
    #[schema(example = "difference engine")]
    password: String,
}

/// Logs in: an access token for 15 minutes, and a refresh token for 30 days.
///
/// An unknown name and a wrong password get the same answer. After five failures in a row a name has to wait for
/// `Retry-After` seconds before its next try, at most 15 minutes.
#[utoipa::path(
    post,
    path = "/users/login",
    tag = "accounts",
    request_body(content = Credentials, example = json!({"username": "ada", "password": "difference engine"})),
    responses((status = 200, description = "Logged in.", body = Grant)),
)]
pub(crate) async fn login(
    State(app): State<AppState>,
    Json(Credentials { username, password }): Json<Credentials>,
) -> Result<Json<Grant>, Error> {
    let now = (app.clock)();
    // The place in the queue comes first: an attempt that is turned away as busy must not count as a failure.
    let turn = app.passwords.turn()?;
    back_off::begin(&*app.store, &username, now).await?;
    let user = app
        .store
        .users_by_name(std::slice::from_ref(&username))
        .await?
        .pop()
        .flatten();
    let hash = user.as_ref().and_then(|user| user.password_hash.as_deref());
    let known = turn.verify(&password, hash).await?;
    let user = user.filter(|_| known).ok_or(Error::BadCredentials)?;
    app.store.clear_failed_logins(&username).await?;
    open_session(&app, user, now).await.map(Json)
}

async fn open_session(app: &AppState, user: User, now: Timestamp) -> Result<Grant, Error> {
    let minted = refresh_token::mint();
    let session = Session {
        token_hash: minted.hash,
        family: refresh_token::family(),
        user_id: user.id,
        credentials_version: user.credentials_version,
        expires_at: now + refresh_token::LIFETIME,
    };
    app.store.open_session(&session).await?;
    let caller = Caller {
        user_id: user.id,
        roles: user.roles,
    };
    Ok(Grant::issue(&app.signing_key, &caller, minted.text, now)?)
}
