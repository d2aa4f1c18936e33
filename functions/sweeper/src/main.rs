//! Binary of `sweeper`: connects the store, Redis and the broker, then serves its router.

use std::sync::Arc;

use payments::TestMode;
use runtime::{clock, env};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("sweeper");
    env::read_secrets().await?;
    let (store_url, stock_url) = (env::url("STORE_URL")?, env::url("STOCK_URL")?);
    let sink = events::connect(&env::events_url()?)?;
    let (store, stock) = tokio::join!(
        store::connect(&store_url),
        stock::Stock::connect(&stock_url, clock::system())
    );
    let payments = Arc::new(TestMode::new(clock::system()));
    let state = sweeper::AppState::new(store?, stock?, sink, payments);
    runtime::serve(sweeper::router(state)).await
}
