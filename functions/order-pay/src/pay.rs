//! `POST /orders/{order_id}/pay`.

use auth::User;
use axum::extract::State;
use domain::{Order, OrderId, OrderState, OrderView, order::Payment};
use payments::{ChargeError, Method};
use runtime::extract::{Json, Path};
use serde::{Deserialize, Serialize};
use store::{Refunded, Transitioned};

use crate::{AppState, Error};

#[derive(Deserialize)]
pub(crate) struct OrderPath {
    order_id: OrderId,
}

/// How to pay.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "method": "test-approve" }))]
pub struct PayRequest {
    /// The means of payment.
    pub method: Method,
}

/// Pays the caller's placed order.
///
/// Safe to repeat: an order is charged once, and a paid one is answered as it is. If the order ends while the money is
/// on its way, the answer is 409 `order-ended` with the `refund` that is owed. An order that is still queued is not
/// found yet, which is why 404 carries `Retry-After`.
#[utoipa::path(
    post,
    path = "/orders/{order_id}/pay",
    operation_id = "pay_order",
    tag = "orders",
    params(("order_id" = OrderId, Path, description = "The order.")),
    request_body = PayRequest,
    responses((status = 200, description = "Paid, now or before.", body = OrderView)),
    security(("bearer" = [])),
)]
pub(crate) async fn pay(
    State(app): State<AppState>,
    User(caller): User,
    Path(OrderPath { order_id }): Path<OrderPath>,
    Json(PayRequest { method }): Json<PayRequest>,
) -> Result<Json<OrderView>, Error> {
    let order = app.store.order(order_id).await?;
    let order = order
        .filter(|order| order.user_id == caller.user_id)
        .ok_or(Error::NoOrder)?;
    let paid = match order.state {
        OrderState::Paid => order,
        OrderState::Placed => {
            let charged = app.payments.charge(order_id, order.total, method).await;
            failpoint::pass("order-pay.charged");
            let paid = match charged {
                Ok(payment) => settle(&app, order_id, payment).await?,
                Err(ChargeError::Closed) => closed(&app, order_id).await?,
                Err(ChargeError::Declined) => return Err(Error::Declined),
                Err(ChargeError::Unavailable(source)) => return Err(Error::Provider(source)),
            };
            failpoint::pass("order-pay.paid");
            paid
        }
        OrderState::Cancelled | OrderState::Expired | OrderState::Rejected => {
            return Err(ended(&app, order).await?);
        }
    };
    Ok(Json(OrderView::from(&paid)))
}

/// Records money that has come: on the order, or as owed back.
async fn settle(app: &AppState, order_id: OrderId, payment: Payment) -> Result<Order, Error> {
    match app.store.pay(order_id, &payment).await? {
        Transitioned::Done(order) => Ok(*order),
        Transitioned::NotPlaced(order) if order.state == OrderState::Paid => Ok(*order),
        Transitioned::NotPlaced(_) => Err(owe(app, order_id, payment).await?),
        Transitioned::Unknown => Err(Error::NoOrder),
    }
}

/// Nothing is charged for the order any more: it has ended meanwhile, or is about to.
async fn closed(app: &AppState, order_id: OrderId) -> Result<Order, Error> {
    let order = app.store.order(order_id).await?.ok_or(Error::NoOrder)?;
    match order.state {
        OrderState::Paid => Ok(order),
        OrderState::Placed | OrderState::Cancelled | OrderState::Expired | OrderState::Rejected => {
            Err(Error::Ended(order.refund))
        }
    }
}

/// The answer for an order that has ended. An earlier call may have been charged without living to record it, and whoever
/// ended the order may not have come to look yet.
async fn ended(app: &AppState, order: Order) -> Result<Error, Error> {
    if order.refund.is_some() {
        return Ok(Error::Ended(order.refund));
    }
    match app.payments.close(order.id).await? {
        Some(payment) => owe(app, order.id, payment).await,
        None => Ok(Error::Ended(None)),
    }
}

async fn owe(app: &AppState, order_id: OrderId, payment: Payment) -> Result<Error, Error> {
    let now = (app.clock)();
    match payments::owe(app.store.as_ref(), order_id, payment, now).await? {
        Refunded::Recorded(order) => Ok(Error::Ended(order.refund)),
        // Ended orders stay ended and are never deleted, so neither can follow from what was read before.
        Refunded::Live(_) | Refunded::Unknown => Err(Error::Internal(store::Error::Corrupt(
            format!("order {order_id} ended and did not"),
        ))),
    }
}
