//! `GET /admin/refunds`: money that is owed back.

use auth::Admin;
use axum::extract::State;
use domain::{Order, OrderView, UserId};
use runtime::extract::{Json, Query};
use serde::{Deserialize, Serialize};

use crate::{AppState, Error};

const REFUNDS_PER_PAGE: u32 = 50;

/// Which part of a listing.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// The `next` of the part before; without it the listing starts at its beginning.
    cursor: Option<String>,
}

/// An ended order whose money is owed back, and to whom.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct OwedRefund {
    /// The order, with its `refund`.
    #[serde(flatten)]
    pub order: OrderView,
    /// Its owner.
    pub user_id: UserId,
}

impl From<&Order> for OwedRefund {
    fn from(order: &Order) -> Self {
        Self {
            order: OrderView::from(order),
            user_id: order.user_id,
        }
    }
}

/// A part of the refunds.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({ "refunds": [], "next": null }))]
pub struct RefundList {
    /// Newest first; at most fifty.
    pub refunds: Vec<OwedRefund>,
    /// The cursor of the next part, if there is one.
    pub next: Option<String>,
}

/// Orders whose money is owed back, newest first.
#[utoipa::path(
    get,
    path = "/admin/refunds",
    operation_id = "list_refunds",
    tag = "admin",
    params(Part),
    responses((status = 200, description = "A part of the refunds.", body = RefundList)),
    security(("bearer" = [])),
)]
pub(crate) async fn list(
    State(app): State<AppState>,
    Admin(_admin): Admin,
    Query(part): Query<Part>,
) -> Result<Json<RefundList>, Error> {
    let page = app
        .store
        .refunds_page(part.cursor.as_deref(), REFUNDS_PER_PAGE)
        .await?;
    let refunds = page.items.iter().map(OwedRefund::from).collect();
    Ok(Json(RefundList {
        refunds,
        next: page.next,
    }))
}
