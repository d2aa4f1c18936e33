//! What the function runs on, by its environment.

use std::sync::Arc;

#[cfg(any(feature = "aws", feature = "knative"))]
use anyhow::Context as _;
use anyhow::bail;
use domain::Clock;
use runtime::env;

use crate::capacity::{self, Capacity};

/// Where the functions run, and how many buyers an instance is enough for there if nobody has measured better (ADR 20).
pub type Platform = (Arc<dyn Capacity>, u64);

/// The platform that started this process.
///
/// # Errors
/// If the environment names none, or lacks what it needs.
pub fn platform(clock: &Clock) -> anyhow::Result<Platform> {
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
fn knative(host: &str) -> anyhow::Result<capacity::Knative> {
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
    let account = env::optional("KUBERNETES_ACCOUNT_DIR").unwrap_or_else(|| ACCOUNT.to_owned());
    let read = |name| {
        let path = format!("{account}/{name}");
        std::fs::read_to_string(&path).context(path)
    };
    let namespace = match env::optional("KNATIVE_NAMESPACE") {
        Some(namespace) => namespace,
        None => read("namespace")?.trim().to_owned(),
    };
    let api = api.context("KUBERNETES_SERVICE_HOST is not a host")?;
    let token_file = format!("{account}/token");
    let ca = read("ca.crt")?;
    let knative = capacity::Knative::new(&api, ca.as_bytes(), &namespace, token_file)?;
    Ok(knative)
}

#[cfg(feature = "aws")]
fn aws(region: &str, clock: Clock) -> anyhow::Result<capacity::Aws> {
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
    let aws = capacity::Aws::new(&endpoint, region, &prefix, credentials, clock)?;
    Ok(aws)
}
