//! `GET /orders` and `GET /orders/{order_id}`: the caller's orders.

use auth::User;
use axum::extract::State;
use domain::{OrderId, OrderView};
use runtime::extract::{Json, Path, Query};
use serde::{Deserialize, Serialize};

use crate::{AppState, Error};

const ORDERS_PER_PAGE: u32 = 50;

#[derive(Deserialize)]
pub(crate) struct OrderPath {
    order_id: OrderId,
}

/// Which part of a listing.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// The `next` of the part before; without it the listing starts at its beginning.
    cursor: Option<String>,
}

/// A part of the caller's orders.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({ "orders": [], "next": null }))]
pub struct OrderList {
    /// Newest first; at most fifty.
    pub orders: Vec<OrderView>,
    /// The cursor of the next part, if there is one.
    pub next: Option<String>,
}

/// The caller's orders, newest first.
#[utoipa::path(
    get,
    path = "/orders",
    operation_id = "list_orders",
    tag = "orders",
    params(Part),
    responses((status = 200, description = "A part of the orders.", body = OrderList)),
    security(("bearer" = [])),
)]
pub(crate) async fn list(
    State(app): State<AppState>,
    User(caller): User,
    Query(part): Query<Part>,
) -> Result<Json<OrderList>, Error> {
    let page = app
        .store
        .orders_page(caller.user_id, part.cursor.as_deref(), ORDERS_PER_PAGE)
        .await?;
    let orders = page.items.iter().map(OrderView::from).collect();
    Ok(Json(OrderList {
        orders,
        next: page.next,
    }))
}

/// One of the caller's orders.
///
/// An order that is still queued is not found here, just as an unknown one and somebody else's; the answer says to ask
/// again, since nobody can tell them apart.
#[utoipa::path(
    get,
    path = "/orders/{order_id}",
    operation_id = "read_order",
    tag = "orders",
    params(("order_id" = OrderId, Path, description = "The order.")),
    responses((status = 200, description = "The order.", body = OrderView)),
    security(("bearer" = [])),
)]
pub(crate) async fn read(
    State(app): State<AppState>,
    User(caller): User,
    Path(OrderPath { order_id }): Path<OrderPath>,
) -> Result<Json<OrderView>, Error> {
    let order = app.store.order(order_id).await?;
    let mine = order.filter(|order| order.user_id == caller.user_id);
    let order = mine.ok_or(Error::NoOrder { may_come: true })?;
    Ok(Json(OrderView::from(&order)))
}
