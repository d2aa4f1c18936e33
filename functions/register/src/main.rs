//! Binary of `register`: connects the store, then serves its router.
//!
//! Environment: `STORE_URL`; `PASSWORD_HASHES_MAX`, how many passwords are hashed at the same time (19 MiB and a core
//! each; default: one for each core); `PORT`.

use auth::Passwords;
use register::AppState;
use runtime::{clock, env};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("register");
    let store = store::connect(&env::url("STORE_URL")?).await?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let permits = env::number("PASSWORD_HASHES_MAX", cores.min(64) as u64, 1..=64)?;
    let passwords = Passwords::new(usize::try_from(permits)?);
    runtime::serve(register::router(AppState {
        store,
        passwords,
        clock: clock::system(),
    }))
    .await
}
