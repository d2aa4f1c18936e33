//! Binary of `spike-list`: connects the store and Redis, then serves its router.
//!
//! Environment: `STORE_URL`, `STOCK_URL`, `PORT`.

use runtime::{clock, env};
use spike_list::AppState;
use stock::Stock;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("spike-list");
    env::read_secrets().await?;
    let (stock_url, store_url) = (env::url("STOCK_URL")?, env::url("STORE_URL")?);
    let (stock, store) = tokio::join!(
        Stock::connect(&stock_url, clock::system()),
        store::connect(&store_url)
    );
    let (stock, store) = (stock?, store?);
    let state = AppState::new(store, stock, &clock::system());
    runtime::serve(spike_list::router(state)).await
}
