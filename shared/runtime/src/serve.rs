//! Chooses what serves a router: the Lambda Runtime API where it is there, else HTTP on `PORT`.

use axum::Router;

use crate::{env, server};

/// Where Lambda says how it hands over invocations: its presence means that this process is a Lambda function
/// (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// Serves `router` until the process is told to end.
pub async fn serve(router: Router) -> anyhow::Result<()> {
    serve_either(router, None).await
}

/// As [`serve`]; on Lambda, each message of a queue becomes a `POST` to `events`, a private route of `router`.
pub async fn serve_events(router: Router, events: &'static str) -> anyhow::Result<()> {
    serve_either(router, Some(events)).await
}

async fn serve_either(router: Router, events: Option<&'static str>) -> anyhow::Result<()> {
    if env::optional(RUNTIME_API).is_none() {
        return server::serve(router).await;
    }
    #[cfg(feature = "aws")]
    return crate::lambda::serve(router, events).await;
    #[cfg(not(feature = "aws"))]
    {
        let _ = events;
        anyhow::bail!("{RUNTIME_API} is set, and this build does not know Lambda")
    }
}
