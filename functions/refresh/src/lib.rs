//! `refresh`: keeps somebody logged in, and logs them out. `POST /users/refresh`, `POST /users/logout`.
//!
//! A refresh token is good for one use and is exchanged for its successor. One that comes a second time has been
//! stolen, from the user or by them: every token that descends from the same login is revoked (RFC 9700, section
//! 4.14.2) and the event is logged. Statuses of a refresh: 200, 400 `malformed`, 401 `bad-refresh-token`,
//! 503 `unavailable`; of a logout: 204, 400 `malformed`, 503 `unavailable`.

mod error;
mod logout;
mod refresh;

use std::sync::Arc;

use auth::{SigningKey, refresh_token};
use axum::{Router, routing::post};
use domain::Clock;
use runtime::Code;
use serde::{Deserialize, Deserializer};
use store::Store;

pub use error::Error;

/// What the function works with.
#[derive(Clone)]
pub struct AppState {
    /// Keeps the sessions, knows the accounts.
    pub store: Arc<dyn Store>,
    /// Signs the access tokens.
    pub signing_key: Arc<SigningKey>,
    /// When tokens begin and end.
    pub clock: Clock,
}

/// The body of both operations.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Presented {
    /// The refresh token.
    #[serde(rename = "refresh_token", deserialize_with = "hash")]
    #[schema(rename = "refresh_token", value_type = String, example = "3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs")]
    hash: Option<String>,
}

/// The text goes no further than this: only its hash does, and nothing where it is no token of ours.
fn hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    Ok(refresh_token::hash(&text))
}

/// The public routes.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/users/refresh", post(refresh::refresh))
        .route("/users/logout", post(logout::logout))
        .with_state(state)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(refresh::refresh, logout::logout))]
struct Api;

/// The routes as an `OpenAPI` document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let api = <Api as utoipa::OpenApi>::openapi();
    runtime::openapi::describe(
        api,
        &[
            (
                "post",
                "/users/refresh",
                &[Code::BadRefreshToken, Code::Unavailable],
            ),
            ("post", "/users/logout", &[Code::Unavailable]),
        ],
    )
}

#[cfg(test)]
mod tests;
