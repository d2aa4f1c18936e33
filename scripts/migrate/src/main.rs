//! Binary of `migrate`: brings a store's tables up to date and makes the first admin, then exits.
//!
//! Environment: `STORE_URL`, `ADMIN_USERNAME`, `ADMIN_PASSWORD`; each also as `NAME_FILE`, the path of a file that holds
//! it. Exit status: 0 all is there, 1 something is missing, and the last line says why. Nothing is half-done that a second
//! run would not finish.

use anyhow::Context;
use runtime::{clock, env};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("migrate");
    let store_url = env::secret("STORE_URL")?;
    let username = env::secret("ADMIN_USERNAME")?;
    let options = migrate::Options {
        store_url: store_url
            .expose()
            .parse()
            .context("STORE_URL is not a URL")?,
        username: username
            .expose()
            .parse()
            .context("ADMIN_USERNAME is not a name")?,
        password: env::secret("ADMIN_PASSWORD")?,
    };
    let first = migrate::run(&options, clock::system()()).await?;
    tracing::info!(
        admin.is_new = (first == migrate::First::Made),
        "the store is ready"
    );
    Ok(())
}
