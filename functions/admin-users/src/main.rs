//! Binary of `admin-users`: connects what the handlers need, then serves their router.

use std::sync::Arc;

use admin_users::AppState;
use auth::Authenticator;
use runtime::env;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("admin-users");
    env::read_secrets().await?;
    let clock = runtime::clock::system();
    let keys = env::secret("ACCESS_TOKEN_KEYS")?;
    let issuer = env::optional("ISSUER").unwrap_or_else(|| "http://localhost".to_owned());
    let state = AppState {
        store: store::connect(&env::url("STORE_URL")?).await?,
        authenticator: Authenticator::new(keys.expose(), &issuer, Arc::clone(&clock))?,
        clock,
    };
    runtime::serve(admin_users::router(state)).await
}
