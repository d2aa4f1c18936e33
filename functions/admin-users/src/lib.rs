//! `admin-users`: accounts, as the operator sees and sets them.
//!
//! Routes: `GET /admin/users`, `GET` and `PUT /admin/users/{user_id}`, `POST /admin/users/import`; all for the role
//! `admin`, which is checked before a body is read. What decides whether somebody may buy (attributes, roles) is
//! written here and nowhere else. Environment: `STORE_URL`, `ACCESS_TOKEN_KEYS`, `ISSUER`.
//!
//! Statuses: 200, 400 `malformed`, 401 `unauthorized`, 403 `forbidden`, 404 `no-user`, 408 `body-timeout`, 412
//! `version-mismatch`, 413 `too-large`, 415 `unsupported-media-type`, 422 `invalid-setting`, 428 `version-required`,
//! 503 `unavailable`.

mod accounts;
mod error;
mod import;

use std::sync::Arc;

use auth::Authenticator;
use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use domain::Clock;
use runtime::Code;
use store::Store;
use utoipa::OpenApi;

pub use accounts::{Change, UserList, UserView};
pub use error::Error;
pub use import::{Entry, Failure, Imported, Member};

/// What the function works with.
#[derive(Clone)]
pub struct AppState {
    /// Where accounts are.
    pub store: Arc<dyn Store>,
    /// Of access tokens.
    pub authenticator: Authenticator,
    /// Tells when an account is made.
    pub clock: Clock,
}

impl FromRef<AppState> for Authenticator {
    fn from_ref(app: &AppState) -> Self {
        app.authenticator.clone()
    }
}

/// The public routes.
pub fn router(state: AppState) -> Router {
    let import = post(import::import).layer(runtime::limit::body(import::BODY_BYTES_MAX));
    Router::new()
        .route("/admin/users", get(accounts::list))
        .route(
            "/admin/users/{user_id}",
            get(accounts::read).put(accounts::replace),
        )
        .route("/admin/users/import", import)
        .with_state(state)
}

#[derive(OpenApi)]
#[openapi(paths(accounts::list, accounts::read, accounts::replace, import::import))]
struct Api;

/// The routes as an `OpenAPI` document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let one = "/admin/users/{user_id}";
    let change = [
        Code::Forbidden,
        Code::NoUser,
        Code::VersionMismatch,
        Code::VersionRequired,
        Code::InvalidSetting,
        Code::Unavailable,
    ];
    runtime::openapi::describe(
        Api::openapi(),
        &[
            (
                "get",
                "/admin/users",
                &[Code::Malformed, Code::Forbidden, Code::Unavailable],
            ),
            (
                "get",
                one,
                &[Code::Forbidden, Code::NoUser, Code::Unavailable],
            ),
            ("put", one, &change),
            (
                "post",
                "/admin/users/import",
                &[Code::Forbidden, Code::Unavailable],
            ),
        ],
    )
}

#[cfg(test)]
mod tests;
