//! `order-cancel`: gives a placed order up. `POST /orders/{order_id}/cancel`.
//!
//! The store decides the race with payment and expiry; then the units go back on sale in Redis, and what was charged for
//! the order becomes a refund record. If Redis or the payment provider is away the sweeper does it. Statuses: 200, 400 `malformed`, 401 `unauthorized`, 404 `no-order`, 409 `order-paid`,
//! 409 `order-ended`, 503 `unavailable`.

mod cancel;
mod error;

use std::sync::Arc;

use auth::Authenticator;
use axum::{Router, extract::FromRef, routing::post};
use payments::Payments;
use runtime::Code;
use stock::Stock;
use store::Store;

pub use error::Error;

/// What the function works with.
#[derive(Clone)]
pub struct AppState {
    /// The durable store: decides whether the order can still be cancelled.
    pub store: Arc<dyn Store>,
    /// The stock in Redis: gets the units back.
    pub stock: Stock,
    /// The payment provider: charges nothing for the order any more, and says what it has charged.
    pub payments: Arc<dyn Payments>,
    /// Of access tokens.
    pub authenticator: Authenticator,
}

impl FromRef<AppState> for Authenticator {
    fn from_ref(app: &AppState) -> Self {
        app.authenticator.clone()
    }
}

/// The public route.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/orders/{order_id}/cancel", post(cancel::cancel))
        .with_state(state)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(cancel::cancel))]
struct Api;

/// The route as an `OpenAPI` document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let api = <Api as utoipa::OpenApi>::openapi();
    runtime::openapi::describe(
        api,
        &[(
            "post",
            "/orders/{order_id}/cancel",
            &[
                Code::NoOrder,
                Code::OrderPaid,
                Code::OrderEnded,
                Code::Unavailable,
            ],
        )],
    )
}

#[cfg(test)]
mod tests;
