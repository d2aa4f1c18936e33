//! Binary of `sweeper`: connects the store, Redis and the broker, then serves its router.

use std::{sync::Arc, time::Duration};

use payments::TestMode;
use runtime::{clock, env, server};
use sweeper::{AppState, Repeat};

/// Between two rounds of a run.
const REPEAT_EVERY: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("sweeper");
    env::read_secrets().await?;
    let (store_url, stock_url) = (env::url("STORE_URL")?, env::url("STOCK_URL")?);
    let events_url = env::events_url()?;
    let (store, stock, sink) = tokio::join!(
        store::connect(&store_url),
        stock::Stock::connect(&stock_url, clock::system()),
        events::connect(&events_url)
    );
    let payments = Arc::new(TestMode::new(clock::system()));
    let repeat_within = Duration::from_secs(env::number("REPEAT_SECS", 50, 0..=50)?);
    let repeat = Repeat::new(REPEAT_EVERY, repeat_within, server::stop_signal()?);
    let state = AppState::new(store?, stock?, sink?, payments).repeating(repeat);
    runtime::serve(sweeper::router(state)).await
}
