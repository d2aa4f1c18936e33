//! `POST /orders/{order_id}/cancel`.

use auth::User;
use axum::extract::State;
use domain::{OrderId, OrderState, OrderView, order::Transition};
use runtime::extract::{Json, Path};
use serde::Deserialize;
use store::Transitioned;

use crate::{AppState, Error};

#[derive(Deserialize)]
pub(crate) struct OrderPath {
    order_id: OrderId,
}

/// Gives the caller's placed order up; its units can be bought again.
///
/// Safe to repeat: a cancelled order is answered again as it is. An order that is still queued is not found yet, which
/// is why 404 carries `Retry-After`.
#[utoipa::path(
    post,
    path = "/orders/{order_id}/cancel",
    operation_id = "cancel_order",
    tag = "orders",
    params(("order_id" = OrderId, Path, description = "The order.")),
    responses((status = 200, description = "Cancelled, now or before.", body = OrderView)),
    security(("bearer" = [])),
)]
pub(crate) async fn cancel(
    State(app): State<AppState>,
    User(caller): User,
    Path(OrderPath { order_id }): Path<OrderPath>,
) -> Result<Json<OrderView>, Error> {
    let order = app.store.order(order_id).await?;
    if order.is_none_or(|order| order.user_id != caller.user_id) {
        return Err(Error::NoOrder);
    }
    let now = app.stock.now();
    let (store, cancel) = (app.store.as_ref(), Transition::Cancel);
    let ended = sale::end_order(store, &app.stock, &*app.payments, order_id, cancel, now).await?;
    let (Transitioned::Done(order) | Transitioned::NotPlaced(order)) = ended else {
        return Err(Error::NoOrder);
    };
    match order.state {
        OrderState::Cancelled => Ok(Json(OrderView::from(&*order))),
        OrderState::Paid => Err(Error::Paid),
        // A placed order is not answered here: the store has just changed it, or says who had before.
        OrderState::Placed | OrderState::Expired | OrderState::Rejected => Err(Error::Ended),
    }
}
