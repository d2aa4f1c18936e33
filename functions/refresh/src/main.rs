//! Binary of `refresh`: connects the store and reads the signing key, then serves its router.
//!
//! Environment: `STORE_URL`; `SIGNING_KEY` (PEM, or `SIGNING_KEY_FILE`), `ISSUER`; `PORT`.

use std::sync::Arc;

use auth::SigningKey;
use refresh::AppState;
use runtime::{clock, env};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("refresh");
    env::read_secrets().await?;
    let store = store::connect(&env::url("STORE_URL")?).await?;
    let issuer = env::optional("ISSUER").unwrap_or_else(|| "http://localhost".to_owned());
    let signing_key = Arc::new(SigningKey::from_pem(
        env::secret("SIGNING_KEY")?.expose(),
        &issuer,
    )?);
    runtime::serve(refresh::router(AppState {
        store,
        signing_key,
        clock: clock::system(),
    }))
    .await
}
