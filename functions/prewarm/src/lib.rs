//! `prewarm`: raises the capacity of the hot functions before a spike opens, and lowers it when it is over.
//!
//! Trigger: a timer, once a minute, delivered as `POST /timers/prewarm` (private). Off unless somebody sets that timer up;
//! `local` has no capacity and does not mount it. Statuses: 200 with what was done; 503 if the store or the platform's API
//! is away or busy; 500 if the platform refuses (rights, names, bounds: the log says which), after the other functions
//! have been seen to. No Redis: the machine's clock decides, and what is sold out is read from the store.
//!
//! Environment:
//! - `STORE_URL`.
//! - On Knative (`KUBERNETES_SERVICE_HOST`, `KUBERNETES_SERVICE_PORT` are the kubelet's): a mounted service account token
//!   that may `get` and `patch` the three Services, in `KUBERNETES_ACCOUNT_DIR` if not where the kubelet mounts it;
//!   `KNATIVE_NAMESPACE`, else the namespace of the service account.
//! - On AWS (`AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` are Lambda's):
//!   `FUNCTION_PREFIX`, what stands before the functions' names (none); `AWS_ENDPOINT_URL_LAMBDA`, if not the region's own.
//! - `SPIKE_BUYERS_PER_INSTANCE`, `SPIKE_TOKEN_BUYERS_PER_INSTANCE`, `ACCESS_CHECK_BUYERS_PER_INSTANCE`: how many expected
//!   buyers one instance is enough for. Defaults: 2,000 on Knative, 50 on AWS; ADR 20 says where they come from.
//! - `INSTANCES_MAX`: the most instances that a function is given (20). On Knative `max-scale` bounds it too.
//! - `LEAD_SECS`: how long before a start capacity is raised (600). `GUARD_SECS`: how long before a start nothing is changed
//!   any more (120); longer than a new revision takes and than the machine's clock is wrong.

pub mod capacity;
mod error;
pub mod plan;
mod platform;
mod run;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::sync::Arc;

use axum::{Router, extract::State, routing::post};
use domain::Clock;
use runtime::extract::Json;
use serde::Serialize;
use store::Store;

use capacity::Capacity;
use plan::Bounds;

pub use error::Error;
pub use platform::{Platform, platform};
pub use run::run;

/// A function that all buyers call in the first second, and how many of them one instance is enough for.
#[derive(Debug, Clone, Copy)]
pub struct Hot {
    /// Its name, on every platform.
    pub function: &'static str,
    /// At least 1.
    pub buyers_per_instance: u32,
}

/// What prewarm needs.
#[derive(Clone)]
pub struct AppState {
    /// The calendar, and who holds which unit.
    pub store: Arc<dyn Store>,
    /// Where the functions run.
    pub capacity: Arc<dyn Capacity>,
    /// The machine's clock.
    pub clock: Clock,
    /// Whose capacity is changed.
    pub hot: Vec<Hot>,
    /// How far and when.
    pub bounds: Bounds,
}

/// What was done about a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing: it had what it should have.
    Kept,
    /// Nothing: it should have something else, but a sale is open or about to open.
    Held,
    /// It has more instances than before.
    Raised,
    /// It has fewer, or the operator's own number is theirs again.
    Lowered,
}

/// A function after a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub struct Seen {
    /// Its name.
    pub function: String,
    /// How many instances are kept ready.
    pub instances: u32,
    /// What was done.
    pub outcome: Outcome,
}

/// What a run did.
///
/// ```json
/// {"functions":[{"function":"spike","instances":5,"outcome":"raised"}]}
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub struct Summary {
    /// The hot functions.
    pub functions: Vec<Seen>,
}

/// The private route of prewarm; never reachable from the public address.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/timers/prewarm", post(prewarm))
        .with_state(state)
}

async fn prewarm(State(app): State<AppState>) -> Result<Json<Summary>, Error> {
    run(&app).await.map(Json)
}

#[cfg(test)]
mod tests;
