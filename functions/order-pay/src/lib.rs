//! `order-pay`: takes the money for a placed order. `POST /orders/{order_id}/pay`, `GET /admin/refunds`.
//!
//! Idempotent: however often it is called, an order is charged once, because the provider is asked under the order's id.
//! The store decides the race with cancellation and expiry. Money that comes for an order that has ended meanwhile
//! becomes a refund record, which the owner sees on the order and an admin in the list.
//!
//! Statuses: 200, 400 `malformed`, 401 `unauthorized`, 402 `payment-declined`, 403 `forbidden`, 404 `no-order`,
//! 409 `order-ended`, 413 `too-large`, 415 `unsupported-media-type`, 503 `unavailable`.

mod error;
mod pay;
mod refunds;

use std::sync::Arc;

use auth::Authenticator;
use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use domain::Clock;
use payments::Payments;
use runtime::Code;
use store::Store;

pub use error::Error;
pub use pay::PayRequest;
pub use refunds::{OwedRefund, RefundList};

/// What the function works with.
#[derive(Clone)]
pub struct AppState {
    /// The durable store: decides whether the order can still be paid.
    pub store: Arc<dyn Store>,
    /// The provider.
    pub payments: Arc<dyn Payments>,
    /// Of access tokens.
    pub authenticator: Authenticator,
    /// Tells when a refund was recorded.
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
        .route("/orders/{order_id}/pay", post(pay::pay))
        .route("/admin/refunds", get(refunds::list))
        .with_state(state)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(pay::pay, refunds::list))]
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
                "/orders/{order_id}/pay",
                &[
                    Code::PaymentDeclined,
                    Code::NoOrder,
                    Code::OrderEnded,
                    Code::Unavailable,
                ],
            ),
            (
                "get",
                "/admin/refunds",
                &[Code::Malformed, Code::Forbidden, Code::Unavailable],
            ),
        ],
    )
}

#[cfg(test)]
mod tests;
