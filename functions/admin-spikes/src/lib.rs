//! `admin-spikes`: spikes, as the operator makes and steers them.
//!
//! Routes, all for the role `admin`: `POST` and `GET /admin/spikes`; `GET`, `PUT` and `DELETE
//! /admin/spikes/{spike_id}`; `POST .../pause` and `.../resume`; `GET .../stats`. Environment: `STORE_URL`, `STOCK_URL`,
//! `ACCESS_TOKEN_KEYS`, `ISSUER`.
//!
//! Every change is written to the store first and then brought to Redis. Where Redis does not answer, the change stays
//! and the sweeper brings it there; the caller gets 503, because it is not in force yet. Only making a spike answers 201
//! all the same: nobody can buy yet.
//!
//! Statuses: 200, 201, 204, 400 `malformed`, 401 `unauthorized`, 403 `forbidden`, 404 `no-spike`, 409 `spike-started` and
//! `spike-ended`, 412 `version-mismatch`, 422 `invalid-setting` and `bad-rule`, 428 `version-required`, 503
//! `unavailable` and `loading`.

mod apply;
mod balance;
mod change;
mod delete;
mod error;
mod stats;
mod view;

use std::sync::Arc;

use auth::Authenticator;
use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use runtime::Code;
use stock::Stock;
use store::Store;
use utoipa::OpenApi;

pub use balance::{Balance, OnTheWay, Way};
pub use error::Error;
pub use stats::{InRedis, InStore, Stats};
pub use view::{AdminSpike, AdminSpikeList};

/// What the function works with.
#[derive(Clone)]
pub struct AppState {
    /// Where spikes are.
    pub store: Arc<dyn Store>,
    /// Where they are sold; its clock is the sale's.
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
        .route("/admin/spikes", get(view::list).post(change::create))
        .route(
            "/admin/spikes/{spike_id}",
            get(view::read).put(change::replace).delete(delete::delete),
        )
        .route("/admin/spikes/{spike_id}/pause", post(change::pause))
        .route("/admin/spikes/{spike_id}/resume", post(change::resume))
        .route("/admin/spikes/{spike_id}/stats", get(stats::stats))
        .with_state(state)
}

#[derive(OpenApi)]
#[openapi(paths(
    view::list,
    view::read,
    change::create,
    change::replace,
    change::pause,
    change::resume,
    delete::delete,
    stats::stats
))]
struct Api;

/// The routes as an `OpenAPI` document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    use Code::{
        BadRule, Forbidden, InvalidSetting, Loading, Malformed, NoSpike, SpikeEnded, SpikeStarted,
        Unavailable, VersionMismatch, VersionRequired,
    };
    let one = "/admin/spikes/{spike_id}";
    let replace = [
        Forbidden,
        NoSpike,
        SpikeStarted,
        SpikeEnded,
        VersionMismatch,
        VersionRequired,
        InvalidSetting,
        BadRule,
        Unavailable,
        Loading,
    ];
    let delete = [
        Forbidden,
        NoSpike,
        SpikeStarted,
        VersionMismatch,
        VersionRequired,
        Unavailable,
        Loading,
    ];
    let turn = [
        Forbidden,
        NoSpike,
        SpikeEnded,
        VersionMismatch,
        Unavailable,
        Loading,
    ];
    let read = [Forbidden, NoSpike, Unavailable];
    runtime::openapi::describe(
        Api::openapi(),
        &[
            (
                "post",
                "/admin/spikes",
                &[Forbidden, InvalidSetting, BadRule, Unavailable],
            ),
            ("get", "/admin/spikes", &[Malformed, Forbidden, Unavailable]),
            ("get", one, &read),
            ("put", one, &replace),
            ("delete", one, &delete),
            ("post", "/admin/spikes/{spike_id}/pause", &turn),
            ("post", "/admin/spikes/{spike_id}/resume", &turn),
            ("get", "/admin/spikes/{spike_id}/stats", &read),
        ],
    )
}

#[cfg(test)]
mod tests;
