//! `GET /admin/spikes` and `GET /admin/spikes/{spike_id}`.

use auth::Admin;
use axum::{extract::State, response::IntoResponse};
use domain::{
    Spike, SpikeId, Timestamp,
    spike::{Settings, Status},
};
use runtime::extract::{Json, Path, Query, etag};
use serde::{Deserialize, Serialize};

use crate::{AppState, Error};

const SPIKES_PER_PAGE: u32 = 50;

/// A spike, as an admin sees it: what was decided, and what the sale has made of it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "spike_id": "01900000-0000-7000-8000-000000000000", "version": 2, "name": "One hundred sneakers", "description": "",
    "stock": 100, "limit_per_user": 1, "price": {"amount_minor": 4900, "currency": "EUR"},
    "starts_at": "2026-11-22T10:00:00.000Z", "ends_at": "2026-11-22T11:00:00.000Z", "pay_within_secs": 900, "rules": [],
    "expected_buyers": 10_000, "paused": false, "top": 120, "retired": 20, "status": "upcoming", "created_at": "2026-11-21T10:00:00.000Z"
}))]
pub struct AdminSpike {
    /// Its id.
    pub spike_id: SpikeId,
    /// Raised by every change of an admin; its `ETag`.
    pub version: u64,
    /// What was decided.
    #[serde(flatten)]
    pub settings: Settings,
    /// Whether an admin has paused it.
    pub paused: bool,
    /// The highest unit number; only grows.
    pub top: u32,
    /// How many units were taken back. `top - retired` moves to `stock`.
    pub retired: u32,
    /// Where it is in its course. Whether it is sold out at the moment is told by the statistics.
    pub status: Status,
    /// When it was made.
    pub created_at: Timestamp,
    /// After stock was lowered: how many units were taken back at once. The others follow, as they come free too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_now: Option<u32>,
}

impl AdminSpike {
    /// The spike at `now`.
    #[must_use]
    pub fn of(spike: Spike, now: Timestamp) -> Self {
        Self {
            spike_id: spike.id,
            version: spike.version,
            status: spike.status(now, None),
            settings: spike.settings,
            paused: spike.paused,
            top: spike.top,
            retired: spike.retired,
            created_at: spike.created_at,
            retired_now: None,
        }
    }
}

/// A part of the spikes.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({ "spikes": [], "next": null }))]
pub struct AdminSpikeList {
    /// Live ones first, each by their end; at most fifty.
    pub spikes: Vec<AdminSpike>,
    /// The cursor of the next part, if there is one.
    pub next: Option<String>,
}

/// Which part of the spikes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// The `next` of the part before; without it the listing starts at its beginning.
    cursor: Option<String>,
}

/// Lists all spikes, past ones too.
#[utoipa::path(
    get, path = "/admin/spikes", tag = "admin", operation_id = "list_admin_spikes",
    params(Part), security(("bearer" = [])),
    responses((status = 200, description = "A part of the spikes.", body = AdminSpikeList)),
)]
pub(crate) async fn list(
    State(app): State<AppState>,
    _admin: Admin,
    Query(part): Query<Part>,
) -> Result<Json<AdminSpikeList>, Error> {
    let page = app
        .store
        .spikes_page(part.cursor.as_deref(), SPIKES_PER_PAGE)
        .await?;
    let now = app.stock.now();
    let spikes = page
        .items
        .into_iter()
        .map(|spike| AdminSpike::of(spike, now))
        .collect();
    Ok(Json(AdminSpikeList {
        spikes,
        next: page.next,
    }))
}

/// Shows a spike.
#[utoipa::path(
    get, path = "/admin/spikes/{spike_id}", tag = "admin", operation_id = "read_admin_spike",
    params(("spike_id" = SpikeId, Path, description = "The spike.")), security(("bearer" = [])),
    responses((
        status = 200, description = "The spike.", body = AdminSpike,
        headers(("ETag" = String, description = "The version, for `If-Match`.")),
    )),
)]
pub(crate) async fn read(
    State(app): State<AppState>,
    _admin: Admin,
    Path(spike_id): Path<SpikeId>,
) -> Result<impl IntoResponse, Error> {
    let spike = app.store.spike(spike_id).await?.ok_or(Error::Unknown)?;
    Ok(answer(AdminSpike::of(spike, app.stock.now())))
}

/// The spike with its `ETag`.
pub(crate) fn answer(spike: AdminSpike) -> impl IntoResponse {
    (etag(spike.version), Json(spike))
}
