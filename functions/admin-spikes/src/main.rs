//! Binary of `admin-spikes`: connects what the handlers need, then serves their router.

use std::sync::Arc;

use admin_spikes::AppState;
use anyhow::Context;
use auth::Authenticator;
use runtime::env;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("admin-spikes");
    env::read_secrets().await?;
    let clock = runtime::clock::system();
    let (store_url, stock_url) = (env::url("STORE_URL")?, env::url("STOCK_URL")?);
    let (store, stock) = tokio::join!(
        store::connect(&store_url),
        stock::Stock::connect(&stock_url, Arc::clone(&clock))
    );
    let stock = stock.context("STOCK_URL")?;
    let keys = env::secret("ACCESS_TOKEN_KEYS")?;
    let issuer = env::optional("ISSUER").unwrap_or_else(|| "http://localhost".to_owned());
    let state = AppState {
        store: store?,
        authenticator: Authenticator::new(keys.expose(), &issuer, stock.clock())?,
        stock,
    };
    runtime::serve(admin_spikes::router(state)).await
}
