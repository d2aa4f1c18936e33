//! `access-check`: whether a spike's rules admit the caller. `GET /spikes/{spike_id}/access`.
//!
//! The buyer learns it before the start, and the verdict is in Redis for the purchase, for 30 s. Buyers who look at a
//! spike are also the sign that it is wanted: a live one that Redis does not have is loaded.
//!
//! Statuses: 200, 400 `malformed`, 401 `unauthorized`, 404 `no-spike`, 503 `unavailable`.

mod check;
mod error;

use std::sync::Arc;

use auth::Authenticator;
use axum::{Router, extract::FromRef, routing::get};
use cache::Timed;
use domain::{Clock, SpikeId};
use runtime::Code;
use sale::{Admission, Catalog};
use stock::Stock;
use store::Store;

pub use check::Access;
pub use error::Error;

const MOST_LOOKED_AFTER: usize = 1_000;

/// What one instance works with, and what it remembers.
#[derive(Clone)]
pub struct AppState(Arc<Instance>);

struct Instance {
    store: Arc<dyn Store>,
    stock: Stock,
    authenticator: Authenticator,
    catalog: Catalog,
    admission: Admission,
    /// Spikes whose presence in Redis was looked after a moment ago.
    looked_after: Timed<SpikeId, ()>,
}

impl AppState {
    /// An instance that remembers nothing yet; what it remembers ages by `clock`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        stock: Stock,
        authenticator: Authenticator,
        clock: &Clock,
    ) -> Self {
        Self(Arc::new(Instance {
            catalog: Catalog::new(Arc::clone(&store), Arc::clone(clock)),
            admission: Admission::new(Arc::clone(&store), stock.clock()),
            looked_after: Timed::new(MOST_LOOKED_AFTER, Arc::clone(clock)),
            store,
            stock,
            authenticator,
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
        .route("/spikes/{spike_id}/access", get(check::check))
        .with_state(state)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(check::check))]
struct Api;

/// The route as an `OpenAPI` document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let api = <Api as utoipa::OpenApi>::openapi();
    runtime::openapi::describe(
        api,
        &[(
            "get",
            "/spikes/{spike_id}/access",
            &[Code::NoSpike, Code::Unavailable],
        )],
    )
}

#[cfg(test)]
mod tests;
