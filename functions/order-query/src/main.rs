//! Binary of `order-query`: connects the store and Redis, then serves its router.
//!
//! Environment: `STORE_URL`, `STOCK_URL`; `ACCESS_TOKEN_KEYS` (a JWK set), `ISSUER`; `PORT`. Secrets may be given as files, `NAME_FILE`.

use auth::Authenticator;
use order_query::AppState;
use runtime::{clock, env};
use stock::Stock;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("order-query");
    env::read_secrets().await?;
    let (stock_url, store_url) = (env::url("STOCK_URL")?, env::url("STORE_URL")?);
    let (stock, store) = tokio::join!(
        Stock::connect(&stock_url, clock::system()),
        store::connect(&store_url)
    );
    let (stock, store) = (stock?, store?);
    let issuer = env::optional("ISSUER").unwrap_or_else(|| "http://localhost".to_owned());
    let authenticator = Authenticator::new(
        env::secret("ACCESS_TOKEN_KEYS")?.expose(),
        &issuer,
        stock.clock(),
    )?;
    runtime::serve(order_query::router(AppState {
        store,
        stock,
        authenticator,
    }))
    .await
}
