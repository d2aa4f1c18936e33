//! `spike-token`: hands out path tokens. `POST /spikes/{spike_id}/token`.
//!
//! A path token is a MAC over spike, user and time: nothing is stored, and a token is of no use to another user. There is
//! none before the start, by Redis' clock. This function knows neither the store nor the events, so it stays small; a
//! sale that Redis does not have is unknown here, or not loaded yet.
//!
//! Statuses: 200, 400 `malformed`, 401 `unauthorized`, 404 `no-spike`, 410 `ended`, 425 `too-early`, 503 `loading`,
//! 503 `unavailable`.

mod error;
mod token;
mod windows;

use std::sync::Arc;

use auth::{Authenticator, PathTokens};
use axum::{Router, extract::FromRef, routing::post};
use domain::Clock;
use runtime::Code;
use stock::Stock;

pub use error::Error;
pub use token::IssuedToken;

use crate::windows::Windows;

/// What one instance works with, and what it remembers.
#[derive(Clone)]
pub struct AppState(Arc<Instance>);

struct Instance {
    /// Its clock decides.
    stock: Stock,
    authenticator: Authenticator,
    path_tokens: PathTokens,
    windows: Windows,
}

impl AppState {
    /// An instance that remembers no sale yet; what it remembers ages by `clock`.
    #[must_use]
    pub fn new(
        stock: Stock,
        authenticator: Authenticator,
        path_tokens: PathTokens,
        clock: Clock,
    ) -> Self {
        let windows = Windows::new(stock.clone(), clock);
        Self(Arc::new(Instance {
            stock,
            authenticator,
            path_tokens,
            windows,
        }))
    }
}

impl FromRef<AppState> for Authenticator {
    fn from_ref(AppState(app): &AppState) -> Self {
        app.authenticator.clone()
    }
}

/// The public route.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/spikes/{spike_id}/token", post(token::issue))
        .with_state(state)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(token::issue))]
struct Api;

/// The route as an `OpenAPI` document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let api = <Api as utoipa::OpenApi>::openapi();
    runtime::openapi::describe(
        api,
        &[(
            "post",
            "/spikes/{spike_id}/token",
            &[
                Code::NoSpike,
                Code::Ended,
                Code::TooEarly,
                Code::Loading,
                Code::Unavailable,
            ],
        )],
    )
}

#[cfg(test)]
mod tests;
