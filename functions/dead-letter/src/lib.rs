//! `dead-letter`: keeps what the queue gave up on, and sends it again when an admin says so.
//!
//! Trigger: `POST /events/dead-letter`, from the broker, on the private address only ([`events()`]). Routes: `GET
//! /admin/dead-letters`, `POST /admin/dead-letters/{id}/redrive` ([`router`]). Environment: `STORE_URL`,
//! `EVENTS_URL` (or `K_SINK`), `ACCESS_TOKEN_KEYS`, `ISSUER`.
//!
//! Statuses of the event: 204 kept, 413 `too-large`, 503 `unavailable` (the broker tries again). Of the routes: 200, 202,
//! 400 `malformed`, 401 `unauthorized`, 403 `forbidden`, 404 `no-dead-letter`, 409 `not-redrivable`, 503 `unavailable`.

mod admin;
mod error;
mod keep;

use std::sync::Arc;

use ::events::EventSink;
use auth::Authenticator;
use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use domain::Clock;
use store::Store;
use utoipa::OpenApi;

use runtime::Code;

pub use admin::{DeadLetterList, DeadLetterView, Redriven};
pub use error::Error;

/// What the function works with.
#[derive(Clone)]
pub struct AppState {
    /// Where the letters are kept.
    pub store: Arc<dyn Store>,
    /// Where they are sent again.
    pub sink: Arc<dyn EventSink>,
    /// Of access tokens.
    pub authenticator: Authenticator,
    /// Tells when a letter came and when it was sent again.
    pub clock: Clock,
}

impl FromRef<AppState> for Authenticator {
    fn from_ref(app: &AppState) -> Self {
        app.authenticator.clone()
    }
}

/// The public routes.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/admin/dead-letters", get(admin::list))
        .route("/admin/dead-letters/{id}/redrive", post(admin::redrive))
        .with_state(state)
}

/// Where the broker leaves what it gave up on.
pub const EVENTS: &str = "/events/dead-letter";

/// The route of the broker. Never part of a public address, and it sends nothing: the broker that it serves can be the
/// sink of [`AppState`].
pub fn events(store: Arc<dyn Store>, clock: Clock) -> Router {
    let keep = post(keep::keep).layer(runtime::limit::body(keep::ARRIVING_BYTES_MAX));
    Router::new()
        .route(EVENTS, keep)
        .with_state(keep::Keeper { store, clock })
}

#[derive(OpenApi)]
#[openapi(paths(admin::list, admin::redrive))]
struct Api;

/// The document of the public routes.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    runtime::openapi::describe(
        Api::openapi(),
        &[
            (
                "get",
                "/admin/dead-letters",
                &[Code::Malformed, Code::Forbidden, Code::Unavailable],
            ),
            (
                "post",
                "/admin/dead-letters/{id}/redrive",
                &[
                    Code::Forbidden,
                    Code::NoDeadLetter,
                    Code::NotRedrivable,
                    Code::Unavailable,
                ],
            ),
        ],
    )
}

#[cfg(test)]
mod tests;
