//! `GET /spikes` and `GET /spikes/{spike_id}`.

use axum::{
    extract::State,
    http::{HeaderName, header},
};
use domain::{Money, SpikeId, Timestamp, spike::Status};
use runtime::extract::{Json, Path};
use serde::{Deserialize, Serialize};

use crate::{AppState, Error, shelf::Item};

const FOR_A_SECOND: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "public, max-age=1")];

#[derive(Deserialize)]
pub(crate) struct SpikePath {
    spike_id: SpikeId,
}

/// A spike as buyers see it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "spike_id": "01900000-0000-7000-8000-000000000000",
    "name": "One hundred sneakers",
    "description": "",
    "status": "running",
    "starts_at": "2026-11-22T10:00:00.000Z",
    "ends_at": "2026-11-22T11:00:00.000Z",
    "price": { "amount_minor": 4900, "currency": "EUR" },
    "limit_per_user": 1,
    "stock": 100,
    "left": 42
}))]
pub struct SpikeView {
    /// Its id.
    pub spike_id: SpikeId,
    /// What is sold.
    pub name: String,
    /// More about it, as plain text.
    pub description: String,
    /// Its course.
    pub status: Status,
    /// When the sale opens.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// The price of one unit.
    pub price: Money,
    /// How many units one user may buy.
    pub limit_per_user: u32,
    /// How many units are sold in all.
    pub stock: u32,
    /// How many can be bought now; `null` if that is not known.
    pub left: Option<u32>,
}

impl SpikeView {
    fn new(item: &Item, now: Timestamp) -> Self {
        let Item { spike, left } = item;
        let settings = &spike.settings;
        Self {
            spike_id: spike.id,
            name: settings.name.clone(),
            description: settings.description.clone(),
            status: spike.status(now, *left),
            starts_at: settings.starts_at,
            ends_at: settings.ends_at,
            price: settings.price,
            limit_per_user: settings.limit_per_user,
            stock: settings.stock,
            left: *left,
        }
    }
}

/// All spikes that are not long over.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({ "server_time": "2026-11-22T10:00:12.345Z", "spikes": [] }))]
pub struct SpikeList {
    /// Redis' time.
    pub server_time: Timestamp,
    /// By their end.
    pub spikes: Vec<SpikeView>,
}

/// One spike.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SpikeNow {
    /// Redis' time.
    pub server_time: Timestamp,
    /// The spike.
    #[serde(flatten)]
    pub spike: SpikeView,
}

type Kept<T> = ([(HeaderName, &'static str); 1], Json<T>);

/// All spikes that are not long over.
#[utoipa::path(
    get,
    path = "/spikes",
    operation_id = "list_spikes",
    tag = "buying",
    responses((status = 200, description = "The spikes.", body = SpikeList, headers(("Cache-Control" = String, description = "`public, max-age=1`")))),
)]
pub(crate) async fn all(State(app): State<AppState>) -> Result<Kept<SpikeList>, Error> {
    let items = app.shelf.all().await?;
    let server_time = app.stock.now();
    let spikes = items
        .iter()
        .map(|item| SpikeView::new(item, server_time))
        .collect();
    Ok((
        FOR_A_SECOND,
        Json(SpikeList {
            server_time,
            spikes,
        }),
    ))
}

/// One spike, also long after its end.
#[utoipa::path(
    get,
    path = "/spikes/{spike_id}",
    operation_id = "read_spike",
    tag = "buying",
    params(("spike_id" = SpikeId, Path, description = "The spike.")),
    responses((status = 200, description = "The spike.", body = SpikeNow, headers(("Cache-Control" = String, description = "`public, max-age=1`")))),
)]
pub(crate) async fn one(
    State(app): State<AppState>,
    Path(SpikePath { spike_id }): Path<SpikePath>,
) -> Result<Kept<SpikeNow>, Error> {
    let item = app.shelf.one(spike_id).await?;
    let server_time = app.stock.now();
    let spike = SpikeView::new(&item, server_time);
    Ok((FOR_A_SECOND, Json(SpikeNow { server_time, spike })))
}
