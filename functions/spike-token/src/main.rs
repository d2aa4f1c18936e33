//! Binary of `spike-token`: connects Redis, then serves its router.
//!
//! Environment: `STOCK_URL`; `ACCESS_TOKEN_KEYS` (a JWK set), `ISSUER`; `PATH_TOKEN_KEY`; `PORT`. Secrets may be given as files, `NAME_FILE`.

use auth::{Authenticator, PathTokens};
use runtime::{clock, env};
use spike_token::AppState;
use stock::Stock;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("spike-token");
    env::read_secrets().await?;
    let stock = Stock::connect(&env::url("STOCK_URL")?, clock::system()).await?;
    let issuer = env::optional("ISSUER").unwrap_or_else(|| "http://localhost".to_owned());
    let authenticator = Authenticator::new(
        env::secret("ACCESS_TOKEN_KEYS")?.expose(),
        &issuer,
        stock.clock(),
    )?;
    let path_tokens = PathTokens::new(env::secret("PATH_TOKEN_KEY")?.expose().as_bytes())?;
    let state = AppState::new(stock, authenticator, path_tokens, clock::system());
    runtime::serve(spike_token::router(state)).await
}
