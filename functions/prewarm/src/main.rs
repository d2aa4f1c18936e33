//! Binary of `prewarm`: connects the store and finds out what it runs on, then serves its router.
//!
//! The environment is described in the library.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use domain::Clock;
use prewarm::{AppState, Hot, capacity::Capacity, plan::Bounds};
use runtime::{clock, env, env::EnvError};

/// An instance, and how many buyers it is enough for where nobody has measured better (ADR 20).
type Platform = (Arc<dyn Capacity>, u64);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("prewarm");
    let store = store::connect(&env::url("STORE_URL")?).await?;
    let clock = clock::system();
    let (capacity, buyers_per_instance) = platform(&clock)?;
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

/// The platform that started this process.
fn platform(clock: &Clock) -> anyhow::Result<Platform> {
    #[cfg(feature = "knative")]
    if let Some(host) = env::optional("KUBERNETES_SERVICE_HOST") {
        return Ok((Arc::new(knative(&host)?), 2000));
    }
    #[cfg(feature = "aws")]
    if let Some(region) = env::optional("AWS_REGION") {
        return Ok((Arc::new(aws(&region, clock.clone())?), 50));
    }
    let _ = clock;
    bail!("neither KUBERNETES_SERVICE_HOST nor AWS_REGION, as far as this build knows them, is set")
}

#[cfg(feature = "knative")]
fn knative(host: &str) -> anyhow::Result<prewarm::capacity::Knative> {
    /// Where the kubelet mounts what belongs to the service account
    /// (<https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/>).
    const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let port = env::number("KUBERNETES_SERVICE_PORT", 443, 1..=65_535)?;
    let api = format!("https://{host}:{port}").parse();
    let read = |name| {
        let path = format!("{ACCOUNT}/{name}");
        std::fs::read_to_string(&path).context(path)
    };
    let namespace = match env::optional("KNATIVE_NAMESPACE") {
        Some(namespace) => namespace,
        None => read("namespace")?.trim().to_owned(),
    };
    let api = api.context("KUBERNETES_SERVICE_HOST is not a host")?;
    let token_file = format!("{ACCOUNT}/token");
    let ca = read("ca.crt")?;
    let knative = prewarm::capacity::Knative::new(&api, ca.as_bytes(), &namespace, token_file)?;
    Ok(knative)
}

#[cfg(feature = "aws")]
fn aws(region: &str, clock: Clock) -> anyhow::Result<prewarm::capacity::Aws> {
    let endpoint = match env::optional("AWS_ENDPOINT_URL_LAMBDA") {
        Some(_) => env::url("AWS_ENDPOINT_URL_LAMBDA")?,
        None => format!("https://lambda.{region}.amazonaws.com")
            .parse()
            .context("AWS_REGION is not a region")?,
    };
    let prefix = env::optional("FUNCTION_PREFIX").unwrap_or_default();
    let key = env::secret("AWS_ACCESS_KEY_ID")?;
    let secret = env::secret("AWS_SECRET_ACCESS_KEY")?;
    let session = env::optional_secret("AWS_SESSION_TOKEN")?;
    let credentials = aws_credential_types::Credentials::new(
        key.expose(),
        secret.expose(),
        session.map(|token| token.expose().to_owned()),
        None,
        "environment",
    );
    let aws = prewarm::capacity::Aws::new(&endpoint, region, &prefix, credentials, clock)?;
    Ok(aws)
}
