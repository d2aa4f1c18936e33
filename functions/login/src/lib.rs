//! `login`: exchanges a name and a password for tokens. `POST /users/login`.
//!
//! Whoever guesses learns nothing and gets slower: an unknown name and a wrong password take the same steps and get the
//! same answer, and after five failures in a row the name has to wait, twice as long after each further one.
//! Statuses: 200, 400 `malformed`, 401 `bad-credentials`, 429 `slow-down`, 503 `busy`, 503 `unavailable`.

mod back_off;
mod error;
mod login;

use std::sync::Arc;

use auth::{Passwords, SigningKey};
use axum::{Router, routing::post};
use domain::Clock;
use runtime::Code;
use store::Store;

pub use error::Error;

/// What the function works with.
#[derive(Clone)]
pub struct AppState {
    /// Knows the accounts, keeps the sessions and counts the failures.
    pub store: Arc<dyn Store>,
    /// Compares the passwords.
    pub passwords: Passwords,
    /// Signs the access tokens.
    pub signing_key: Arc<SigningKey>,
    /// When tokens begin, and when a name may try again.
    pub clock: Clock,
}

/// The public route.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/users/login", post(login::login))
        .with_state(state)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(login::login))]
struct Api;

/// The route as an `OpenAPI` document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let api = <Api as utoipa::OpenApi>::openapi();
    runtime::openapi::describe(
        api,
        &[(
            "post",
            "/users/login",
            &[
                Code::BadCredentials,
                Code::SlowDown,
                Code::Busy,
                Code::Unavailable,
            ],
        )],
    )
}

#[cfg(test)]
mod tests;
