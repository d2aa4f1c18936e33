//! `spike`: the purchase. `POST /spikes/{spike_id}/orders/{token}`.
//!
//! Ten thousand people race for a hundred units, so almost every request is a refusal. The steps stand in the order of
//! their price, and a refusal does not touch the next one:
//!
//! 1. `flags`: what Redis said a moment ago about the whole sale: 409 `sold-out`, 409 `paused`, 410 `ended`
//! 2. `limits` and `sales`: the spike's token bucket on this instance: 503 `busy`; an unknown spike: 404 `bad-token`
//! 3. the access token: 401 `unauthorized`
//! 4. the user's bucket: 429 `slow-down`
//! 5. the path token: 404 `bad-token`; then the body: 400, 413, 415
//! 6. `reserve`: one round trip to Redis: 409, 410, 403 `denied`, 422 `over-limit`, 425 `too-early`, 503
//! 7. `publish`, for winners only: 202 after the broker's acknowledgement, else 503 `unconfirmed`
//!
//! Environment: see `main.rs`. All time is the injected clock's or Redis', all randomness the injected source's.

mod error;
mod flags;
mod limits;
mod place;
mod publish;
mod reserve;
mod sales;
mod step;

use std::sync::Arc;

use auth::{PathTokens, Verifier};
use axum::{Router, routing::post};
use domain::{Clock, SpikeId};
use events::EventSink;
use runtime::{Code, Live};
use sale::{Admission, Catalog};
use stock::Stock;
use store::Store;

pub use error::Error;
pub use limits::{MOST_PER_UNIT, Rates};
pub use place::{Accepted, Purchase};

use crate::{flags::Flags, limits::Limits, sales::Sales};

/// A source of ten random bytes, for ids and jitter.
pub type Random = Arc<dyn Fn() -> [u8; 10] + Send + Sync>;

/// What the function works with.
pub struct Parts {
    /// The stock in Redis; its clock opens and closes sales and checks tokens.
    pub stock: Stock,
    /// The durable store: access rules, users, and loads of sales that Redis does not have.
    pub store: Arc<dyn Store>,
    /// Where events go.
    pub sink: Arc<dyn EventSink>,
    /// Of access tokens.
    pub verifier: Arc<Verifier>,
    /// Of path tokens.
    pub path_tokens: PathTokens,
    /// This instance's clock: ages caches, flags and buckets.
    pub clock: Clock,
    /// For order ids and the lifetime of flags.
    pub random: Random,
    /// Of the spikes' buckets; they may change.
    pub rates: Live<Rates>,
}

/// The parts, and what one instance remembers.
#[derive(Clone)]
pub struct AppState(Arc<Instance>);

struct Instance {
    stock: Stock,
    sink: Arc<dyn EventSink>,
    verifier: Arc<Verifier>,
    path_tokens: PathTokens,
    random: Random,
    catalog: Catalog,
    admission: Admission,
    flags: Flags,
    limits: Limits,
    sales: Sales,
}

impl AppState {
    /// An instance that remembers nothing yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            stock,
            store,
            sink,
            verifier,
            path_tokens,
            clock,
            random,
            rates,
        } = parts;
        let catalog = Catalog::new(Arc::clone(&store), Arc::clone(&clock));
        Self(Arc::new(Instance {
            admission: Admission::new(Arc::clone(&store), stock.clock()),
            flags: Flags::new(Arc::clone(&clock), Arc::clone(&random)),
            limits: Limits::new(rates, Arc::clone(&clock)),
            sales: Sales::new(stock.clone(), store, catalog.clone(), &clock),
            catalog,
            stock,
            sink,
            verifier,
            path_tokens,
            random,
        }))
    }
}

/// The public route.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route(
            "/spikes/{spike_id}/orders/{token}",
            post(place::place_order),
        )
        .with_state(state)
}

/// Where a buyer reads their order of a spike.
fn order_location(spike_id: SpikeId) -> String {
    format!("/spikes/{spike_id}/order")
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(place::place_order))]
struct Api;

/// The route as an `OpenAPI` document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let api = <Api as utoipa::OpenApi>::openapi();
    runtime::openapi::describe(
        api,
        &[(
            "post",
            "/spikes/{spike_id}/orders/{token}",
            &[
                Code::Unauthorized,
                Code::Denied,
                Code::BadToken,
                Code::SoldOut,
                Code::NotEnough,
                Code::Paused,
                Code::Ended,
                Code::OverLimit,
                Code::TooEarly,
                Code::SlowDown,
                Code::Busy,
                Code::Loading,
                Code::Healing,
                Code::Unconfirmed,
                Code::Unavailable,
            ],
        )],
    )
}

#[cfg(test)]
mod tests;
