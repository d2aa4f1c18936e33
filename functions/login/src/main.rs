//! Binary of `login`: connects the store and reads the signing key, then serves its router.
//!
//! Environment: `STORE_URL`; `SIGNING_KEY` (PEM, or `SIGNING_KEY_FILE`), `ISSUER`; `PASSWORD_HASHES_MAX`, how many
//! passwords are compared at the same time (a core and 19 MiB each, or up to 38 for an imported hash; default: one for
//! each core); `PORT`.

use std::sync::Arc;

use auth::{Passwords, SigningKey};
use login::AppState;
use runtime::{clock, env};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("login");
    env::read_secrets().await?;
    let store = store::connect(&env::url("STORE_URL")?).await?;
    let issuer = env::optional("ISSUER").unwrap_or_else(|| "http://localhost".to_owned());
    let signing_key = Arc::new(SigningKey::from_pem(
        env::secret("SIGNING_KEY")?.expose(),
        &issuer,
    )?);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let permits = env::number("PASSWORD_HASHES_MAX", cores.min(64) as u64, 1..=64)?;
    let passwords = Passwords::new(usize::try_from(permits)?);
    runtime::serve(login::router(AppState {
        store,
        passwords,
        signing_key,
        clock: clock::system(),
    }))
    .await
}
