//! Binary of `order-writer`: connects the store and Redis, then serves its router.

use runtime::{clock, env};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("order-writer");
    env::read_secrets().await?;
    let (store_url, stock_url) = (env::url("STORE_URL")?, env::url("STOCK_URL")?);
    let (store, stock) = tokio::join!(
        store::connect(&store_url),
        stock::Stock::connect(&stock_url, clock::system())
    );
    let state = order_writer::AppState::new(store?, stock?);
    runtime::serve_events(order_writer::router(state), order_writer::EVENTS).await
}
