//! `order-query`: a buyer's orders. `GET /spikes/{spike_id}/order`, `GET /orders`, `GET /orders/{order_id}`.
//!
//! Somebody else's order is answered exactly as an unknown one: 404 `no-order`. Statuses: 200, 400 `malformed`,
//! 401 `unauthorized`, 404 `no-order`, 503 `unavailable`.

mod error;
mod mine;
mod orders;

use std::sync::Arc;

use auth::Authenticator;
use axum::{Router, extract::FromRef, routing::get};
use runtime::Code;
use stock::Stock;
use store::Store;

pub use error::Error;
pub use mine::{Mine, Queued, QueuedState};
pub use orders::OrderList;

/// What the function works with.
#[derive(Clone)]
pub struct AppState {
    /// The durable store: written orders.
    pub store: Arc<dyn Store>,
    /// The stock in Redis: reservations that are not written yet.
    pub stock: Stock,
    /// Of access tokens.
    pub authenticator: Authenticator,
}

impl FromRef<AppState> for Authenticator {
    fn from_ref(app: &AppState) -> Self {
        app.authenticator.clone()
    }
}

/// The public routes.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/spikes/{spike_id}/order", get(mine::my_order))
        .route("/orders", get(orders::list))
        .route("/orders/{order_id}", get(orders::read))
        .with_state(state)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(mine::my_order, orders::list, orders::read))]
struct Api;

/// The routes as an `OpenAPI` document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let api = <Api as utoipa::OpenApi>::openapi();
    runtime::openapi::describe(
        api,
        &[
            (
                "get",
                "/spikes/{spike_id}/order",
                &[Code::NoOrder, Code::Unavailable],
            ),
            ("get", "/orders", &[Code::Malformed, Code::Unavailable]),
            (
                "get",
                "/orders/{order_id}",
                &[Code::NoOrder, Code::Unavailable],
            ),
        ],
    )
}

#[cfg(test)]
mod tests;
