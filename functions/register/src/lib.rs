//! `register`: opens an account. `POST /users`.
//!
//! The account can buy and nothing else: roles and the attributes that access rules read come from the operator.
//! Statuses: 201, 400 `malformed`, 409 `username-taken`, 422 `weak-password`, 503 `busy`, 503 `unavailable`.

mod error;
mod register;

use std::sync::Arc;

use auth::Passwords;
use axum::{Router, routing::post};
use domain::Clock;
use runtime::Code;
use store::Store;

pub use error::Error;

/// What the function works with.
#[derive(Clone)]
pub struct AppState {
    /// Keeps the accounts.
    pub store: Arc<dyn Store>,
    /// Hashes their passwords.
    pub passwords: Passwords,
    /// When accounts are made.
    pub clock: Clock,
}

/// The public route.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/users", post(register::register))
        .with_state(state)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(register::register))]
struct Api;

/// The route as an `OpenAPI` document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let api = <Api as utoipa::OpenApi>::openapi();
    runtime::openapi::describe(
        api,
        &[(
            "post",
            "/users",
            &[
                Code::UsernameTaken,
                Code::WeakPassword,
                Code::Busy,
                Code::Unavailable,
            ],
        )],
    )
}

#[cfg(test)]
mod tests;
