//! `GET /spikes/{spike_id}/order`: where a purchase has got to, also while it is queued.

use auth::User;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use domain::{OrderId, OrderView, SpikeId, UserId};
use runtime::extract::{Json, Path};
use serde::{Deserialize, Serialize};
use stock::Hold;

use crate::{AppState, Error};

#[derive(Deserialize)]
pub(crate) struct SpikePath {
    spike_id: SpikeId,
}

/// A buyer's order of one spike.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Mine {
    /// Accepted, on its way to the store.
    Queued(Queued),
    /// Written, in whatever state.
    Written(OrderView),
}

/// An accepted purchase whose order is not written yet.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "order_id": "01900000-0000-7000-8000-000000000000",
    "spike_id": "01900000-0000-7000-8000-000000000001",
    "quantity": 1,
    "state": "queued"
}))]
pub struct Queued {
    /// The order to come.
    pub order_id: OrderId,
    /// The spike that it buys from.
    pub spike_id: SpikeId,
    /// How many units it has.
    pub quantity: u32,
    /// Always `queued`.
    pub state: QueuedState,
}

/// The state of an order that is not written yet.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueuedState {
    /// Reserved; the writer has not come to it.
    Queued,
}

/// The caller's order of this spike.
///
/// The live order, else the reservation in Redis (its order, or `queued` with `Retry-After: 1`), else the newest order
/// that has ended. After Redis has lost data a queued order is invisible until it is written; a purchase that is tried
/// again meanwhile may get another id, and one of the two ends as `rejected` with reason `limit`.
#[utoipa::path(
    get,
    path = "/spikes/{spike_id}/order",
    operation_id = "read_my_order",
    tag = "orders",
    params(("spike_id" = SpikeId, Path, description = "The spike.")),
    responses((
        status = 200,
        description = "The order, queued or written.",
        body = Mine,
        headers(("Retry-After" = u32, description = "While it is queued: seconds to wait before the next look.")),
    )),
    security(("bearer" = [])),
)]
pub(crate) async fn my_order(
    State(app): State<AppState>,
    User(caller): User,
    Path(SpikePath { spike_id }): Path<SpikePath>,
) -> Result<Response, Error> {
    match find(&app, spike_id, caller.user_id).await? {
        Some(mine @ Mine::Written(_)) => Ok(Json(mine).into_response()),
        Some(mine @ Mine::Queued(_)) => {
            Ok(([(header::RETRY_AFTER, "1")], Json(mine)).into_response())
        }
        None => Err(Error::NoOrder {
            may_come: is_live(&app, spike_id).await?,
        }),
    }
}

async fn find(app: &AppState, spike_id: SpikeId, user_id: UserId) -> Result<Option<Mine>, Error> {
    let written = |order| Mine::Written(OrderView::from(&order));
    let live = match app.store.live_order(spike_id, user_id).await {
        Err(away @ store::Error::Unavailable(_)) => {
            // What a 202 has promised is seen all the same: nobody knows of an order yet, so it is queued.
            let hold = app.stock.hold(spike_id, user_id).await?;
            let pending = hold.filter(|hold| hold.pending).ok_or(away)?;
            return Ok(Some(queued(spike_id, &pending)));
        }
        live => live?,
    };
    if let Some(order) = live {
        return Ok(Some(written(order)));
    }
    if let Some(hold) = app.stock.hold(spike_id, user_id).await? {
        let order = app.store.order(hold.order_id).await?;
        return Ok(Some(order.map_or_else(|| queued(spike_id, &hold), written)));
    }
    Ok(app
        .store
        .newest_order(spike_id, user_id)
        .await?
        .map(written))
}

fn queued(spike_id: SpikeId, hold: &Hold) -> Mine {
    Mine::Queued(Queued {
        order_id: hold.order_id,
        spike_id,
        quantity: hold.units.quantity(),
        state: QueuedState::Queued,
    })
}

/// While the spike is live, an order may be on its way that only its event knows of.
async fn is_live(app: &AppState, spike_id: SpikeId) -> Result<bool, Error> {
    let spike = app.store.spike(spike_id).await?;
    Ok(spike.is_some_and(|spike| !spike.has_ended(app.stock.now())))
}
