//! Binary of `prewarm`: connects the store and finds out what it runs on, then serves its router.
//!
//! The environment is described in the library.

use std::time::Duration;

use anyhow::ensure;
use prewarm::{AppState, Hot, plan::Bounds};
use runtime::{clock, env, env::EnvError};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("prewarm");
    let store = store::connect(&env::url("STORE_URL")?).await?;
    let clock = clock::system();
    let (capacity, buyers_per_instance) = prewarm::platform(&clock)?;
    let hot = |function, name| -> Result<Hot, EnvError> {
        Ok(Hot {
            function,
            buyers_per_instance: number(name, buyers_per_instance, 1_000_000)?,
        })
    };
    let lead = number("LEAD_SECS", 600, 86_400)?;
    let guard = number("GUARD_SECS", 120, 3600)?;
    ensure!(guard < lead, "GUARD_SECS is not less than LEAD_SECS");
    let state = AppState {
        store,
        capacity,
        clock,
        hot: vec![
            hot("spike", "SPIKE_BUYERS_PER_INSTANCE")?,
            hot("spike-token", "SPIKE_TOKEN_BUYERS_PER_INSTANCE")?,
            hot("access-check", "ACCESS_CHECK_BUYERS_PER_INSTANCE")?,
        ],
        bounds: Bounds {
            instances_max: number("INSTANCES_MAX", 20, 10_000)?,
            lead: Duration::from_secs(lead.into()),
            guard: Duration::from_secs(guard.into()),
        },
    };
    runtime::serve(prewarm::router(state)).await
}

fn number(name: &str, default: u64, most: u32) -> Result<u32, EnvError> {
    let number = env::number(name, default, 1..=most.into())?;
    Ok(u32::try_from(number).unwrap_or(most))
}
