//! `order-writer`: makes reservations durable. The only writer of new orders.
//!
//! Trigger: event `spike.order.placed.v1`, delivered as `POST /events/order-placed`. Environment: `STORE_URL`,
//! `STOCK_URL`. Statuses: 204 done (a delivery of what was done before too), 400 the event can never be written (the
//! broker keeps it as a dead letter), 503 not now (the broker sends it again).

mod ack;
mod batch;
mod error;
mod write;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use runtime::{extract::Bytes, telemetry};
use sale::Catalog;
use stock::Stock;
use store::Store;
use tracing::Instrument as _;

use batch::Batch;
pub use error::Error;

/// What the writer needs.
#[derive(Clone)]
pub struct AppState {
    store: Arc<dyn Store>,
    stock: Stock,
    catalog: Catalog,
    batch: Arc<Batch>,
}

impl AppState {
    /// Writes orders to `store` and acknowledges them in `stock`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, stock: Stock) -> Self {
        let catalog = Catalog::new(Arc::clone(&store), stock.clock());
        let batch = Arc::new(Batch::new(Arc::clone(&store), stock.clone()));
        Self {
            store,
            stock,
            catalog,
            batch,
        }
    }
}

/// Where events come in.
pub const EVENTS: &str = "/events/order-placed";

/// The private route of the writer; never reachable from the public address.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route(EVENTS, post(order_placed))
        .with_state(state)
}

/// Writes the order of one event. Any number of deliveries have the effect of one.
async fn order_placed(
    State(app): State<AppState>,
    headers: HeaderMap,
    Bytes(body): Bytes,
) -> Result<StatusCode, Error> {
    let event = events::envelope::receive(&headers, &body)?;
    let reserved_at = event.placed.order_id.minted_at();
    observe::QUEUE_LAG.record(app.stock.now().since(reserved_at).as_secs_f64(), []);
    let span = telemetry::event("order.write", event.traceparent.as_deref());
    let written = write::write(&app, event.placed).instrument(span).await?;
    observe::WRITTEN.add(1, [&written.as_str()]);
    tracing::debug!(outcome = ?written, "event done");
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
