//! Binary of `spike`: connects what a purchase needs, then serves its router.
//!
//! Environment: `STOCK_URL`, `STORE_URL`, `EVENTS_URL` (or `K_SINK`); `ACCESS_TOKEN_KEYS` (a JWK set), `ISSUER`;
//! `PATH_TOKEN_KEY`; `BUCKET_BURST` and `BUCKET_REFILL`, multiples of a spike's stock, default 2, 0 = no bucket, or instead of both
//! `TUNABLES_FILE`, a file that is followed while this runs (`docs/samples/tunables.toml`); `PORT`. Secrets may be given
//! as files, `NAME_FILE`.

use std::sync::Arc;

use auth::{Authenticator, PathTokens};
use runtime::{Live, clock, env};
use spike::{AppState, MOST_PER_UNIT, Parts, Rates};
use stock::Stock;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("spike");
    env::read_secrets().await?;
    let (stock_url, store_url) = (env::url("STOCK_URL")?, env::url("STORE_URL")?);
    let events_url = env::events_url()?;
    let (stock, store, sink) = tokio::join!(
        Stock::connect(&stock_url, clock::system()),
        store::connect(&store_url),
        events::connect(&events_url)
    );
    let stock = stock?;
    let keys = env::secret("ACCESS_TOKEN_KEYS")?;
    let issuer = env::optional("ISSUER").unwrap_or_else(|| "http://localhost".to_owned());
    let parts = Parts {
        store: store?,
        sink: sink?,
        verifier: Authenticator::new(keys.expose(), &issuer, stock.clock())?.verifier,
        path_tokens: PathTokens::new(env::secret("PATH_TOKEN_KEY")?.expose().as_bytes())?,
        clock: clock::system(),
        random: Arc::new(auth::random),
        rates: match env::optional("TUNABLES_FILE") {
            Some(path) => Live::follow(path).await?,
            None => Live::from(Rates {
                burst_per_unit: rate("BUCKET_BURST")?,
                refill_per_unit: rate("BUCKET_REFILL")?,
            }),
        },
        stock,
    };
    runtime::serve(spike::router(AppState::new(parts))).await
}

fn rate(name: &str) -> anyhow::Result<u32> {
    let rate = env::number(name, 2, 0..=MOST_PER_UNIT.into())?;
    Ok(u32::try_from(rate)?)
}
