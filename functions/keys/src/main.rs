//! Binary of `keys`: reads the public keys, then serves its router.
//!
//! Environment: `ACCESS_TOKEN_KEYS` (a JWK set, or `ACCESS_TOKEN_KEYS_FILE`), `ISSUER`; `PORT`.

use std::sync::Arc;

use auth::KeySet;
use keys::AppState;
use runtime::env;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("keys");
    env::read_secrets().await?;
    let keys = Arc::new(KeySet::parse(env::secret("ACCESS_TOKEN_KEYS")?.expose())?);
    let issuer = env::optional("ISSUER").unwrap_or_else(|| "http://localhost".to_owned());
    runtime::serve(keys::router(AppState {
        keys,
        issuer: issuer.into(),
    }))
    .await
}
