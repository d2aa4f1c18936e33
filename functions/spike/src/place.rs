//! `POST /spikes/{spike_id}/orders/{token}`: the steps of a purchase, the cheapest refusal first.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use domain::{OrderId, SpikeId, spike::MAX_LIMIT_PER_USER};
use runtime::{
    extract::{Json, OptionalJson, Path},
    problem,
};
use serde::{Deserialize, Serialize};

use crate::{
    AppState, Error, Instance, order_location,
    publish::publish,
    reserve::{Wish, reserve},
    step,
};

/// A quantity that no sale allows.
const OVER_EVERY_LIMIT: u32 = MAX_LIMIT_PER_USER + 1;

#[derive(Deserialize)]
struct OrderPath {
    spike_id: SpikeId,
    token: String,
}

/// What a buyer asks for. Without a body it is one unit.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({ "quantity": 1 }))]
pub struct Purchase {
    /// How many units.
    #[schema(minimum = 1, maximum = 10, default = 1)]
    pub quantity: u32,
}

impl Default for Purchase {
    fn default() -> Self {
        Self { quantity: 1 }
    }
}

/// A purchase that is durably queued.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({ "order_id": "01900000-0000-7000-8000-000000000000", "quantity": 1 }))]
pub struct Accepted {
    /// The order to come.
    pub order_id: OrderId,
    /// How many units it has.
    pub quantity: u32,
}

/// Reserves units for the caller and queues the order.
///
/// 202 means durably queued: the order appears under `Location`, also while it is queued. Safe to repeat: while this
/// user's order lives, every further call answers with it, whatever its quantity. After a 503, or no answer, read
/// `Location` first: the reservation may have been made. After Redis has lost data a queued order is invisible until it
/// is written, and a second try may get another id; then one of the two orders ends as `rejected` with reason `limit`.
#[utoipa::path(
    post,
    path = "/spikes/{spike_id}/orders/{token}",
    tag = "buying",
    params(
        ("spike_id" = SpikeId, Path, description = "The spike."),
        ("token" = String, Path, description = "The caller's path token for it.", example = "mJ8vX2n0Qk1yq3uPz7dLbA"),
    ),
    request_body = Option<Purchase>,
    responses((
        status = 202,
        description = "Durably queued, now or by an earlier call.",
        body = Accepted,
        headers(("Location" = String, description = "Where the order shows, also while it is queued.")),
    )),
    security(("bearer" = [])),
)]
pub(crate) async fn place_order(
    State(AppState(app)): State<AppState>,
    request: Request,
) -> Response {
    if let Some(refusal) = app.flags.refusal(&request) {
        return refusal;
    }
    let (mut parts, body) = request.into_parts();
    let OrderPath { spike_id, token } = match Path::from_request_parts(&mut parts, &()).await {
        Ok(Path(path)) => path,
        Err(rejection) => return rejection.into_response(),
    };
    let mut step = step::LIMITS;
    match Box::pin(purchase(&app, spike_id, &token, (parts, body), &mut step)).await {
        Ok(accepted) => {
            observe::PURCHASES.add(1, [&step, &"accepted"]);
            accepted
        }
        Err(error) => refuse(&error, spike_id, step),
    }
}

async fn purchase(
    app: &Instance,
    spike_id: SpikeId,
    token: &str,
    (parts, body): (Parts, Body),
    step: &mut &'static str,
) -> Result<Response, Error> {
    let units = app.sales.units(spike_id, &app.limits).await?;
    if !app.limits.admits_to(spike_id, units) {
        return Err(Error::Busy);
    }
    *step = step::ACCESS_TOKEN;
    let access_token = auth::bearer(&parts.headers).ok_or(Error::Unauthorized)?;
    let user_id = app.verifier.verify(access_token)?.user_id;
    *step = step::USER_LIMIT;
    if !app.limits.admits_user(user_id) {
        return Err(Error::SlowDown);
    }
    *step = step::PATH_TOKEN;
    if !app
        .path_tokens
        .verify(spike_id, user_id, app.stock.now(), token)
    {
        return Err(Error::BadToken);
    }
    *step = step::BODY;
    let quantity = quantity(parts, body).await?;
    *step = step::RESERVE;
    let reservation = reserve(
        app,
        Wish {
            spike_id,
            user_id,
            quantity,
        },
    )
    .await?;
    if reservation.pending {
        *step = step::PUBLISH;
        failpoint::pass("spike.reserved");
        if !publish(&*app.sink, &reservation.placed).await {
            return Err(Error::Unconfirmed);
        }
        failpoint::pass("spike.published");
    }
    let placed = reservation.placed;
    let accepted = Accepted {
        order_id: placed.order_id,
        quantity: placed.units.quantity(),
    };
    let location = order_location(spike_id);
    Ok((
        StatusCode::ACCEPTED,
        [(header::LOCATION, location)],
        Json(accepted),
    )
        .into_response())
}

/// The quantity asked for. One that nobody may buy, 0 or far too many, is for Redis to refuse: it looks first whether
/// this user has an order, which is replayed whatever the quantity.
async fn quantity(parts: Parts, body: Body) -> Result<u32, Error> {
    let request = Request::from_parts(parts, body);
    let purchase = OptionalJson::<Purchase>::from_request(request, &()).await;
    let OptionalJson(Purchase { quantity }) = purchase.map_err(Error::Request)?;
    Ok(if (1..=MAX_LIMIT_PER_USER).contains(&quantity) {
        quantity
    } else {
        OVER_EVERY_LIMIT
    })
}

fn refuse(error: &Error, spike_id: SpikeId, step: &'static str) -> Response {
    let problem = error.problem(spike_id);
    observe::PURCHASES.add(1, [&step, &problem.code().code()]);
    problem::log(error, &problem);
    problem.into_response()
}
