//! `spike-list`: the spikes as buyers see them. `GET /spikes`, `GET /spikes/{spike_id}`; nobody needs to log in.
//!
//! Answers may be kept for a second by everybody (`Cache-Control: public, max-age=1`), and this function keeps what it
//! reads as long, so that any number of readers costs one look a second. The units that are left come from Redis; while
//! it is away they are `null`, and the answer is still 200. All times are by Redis' clock.
//!
//! Statuses: 200, 400 `malformed`, 404 `no-spike`, 503 `unavailable`.

mod error;
mod list;
mod shelf;

use std::sync::Arc;

use axum::{Router, routing::get};
use domain::Clock;
use runtime::Code;
use stock::Stock;
use store::Store;

pub use error::Error;
pub use list::{SpikeList, SpikeNow, SpikeView};
use shelf::Shelf;

/// What the function works with.
#[derive(Clone)]
pub struct AppState {
    stock: Stock,
    shelf: Shelf,
}

impl AppState {
    /// An instance that has read nothing yet; what it has read ages by `clock`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, stock: Stock, clock: &Clock) -> Self {
        Self {
            shelf: Shelf::new(store, stock.clone(), clock),
            stock,
        }
    }
}

/// The public routes.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/spikes", get(list::all))
        .route("/spikes/{spike_id}", get(list::one))
        .with_state(state)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list::all, list::one))]
struct Api;

/// The routes as an `OpenAPI` document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let api = <Api as utoipa::OpenApi>::openapi();
    runtime::openapi::describe(
        api,
        &[
            ("get", "/spikes", &[Code::Unavailable]),
            (
                "get",
                "/spikes/{spike_id}",
                &[Code::NoSpike, Code::Unavailable],
            ),
        ],
    )
}

#[cfg(test)]
mod tests;
