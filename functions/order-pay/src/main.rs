//! Binary of `order-pay`: connects the store, then serves its router.
//!
//! Environment: `STORE_URL`; `ACCESS_TOKEN_KEYS` (a JWK set), `ISSUER`; `PORT`. Secrets may be given as files, `NAME_FILE`.

use std::sync::Arc;

use auth::Authenticator;
use order_pay::AppState;
use payments::TestMode;
use runtime::{clock, env};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("order-pay");
    env::read_secrets().await?;
    let store = store::connect(&env::url("STORE_URL")?).await?;
    let issuer = env::optional("ISSUER").unwrap_or_else(|| "http://localhost".to_owned());
    let clock = clock::system();
    let authenticator = Authenticator::new(
        env::secret("ACCESS_TOKEN_KEYS")?.expose(),
        &issuer,
        clock.clone(),
    )?;
    let payments = Arc::new(TestMode::new(clock.clone()));
    runtime::serve(order_pay::router(AppState {
        store,
        payments,
        authenticator,
        clock,
    }))
    .await
}
