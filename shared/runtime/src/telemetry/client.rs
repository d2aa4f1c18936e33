//! The way to the endpoint: plain HTTP over the client that is linked anyway.
//!
//! No TLS: the endpoint is a collector beside the process (a sidecar, an extension, a service of the cluster), and what
//! leaves the machine leaves it from there.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Response};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

/// What one export may take, connecting included.
pub(super) const WITHIN: Duration = Duration::from_secs(3);
/// What is read of an answer: it says at most how much was not taken.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const IDLE: Duration = Duration::from_secs(90);

/// A client that works on the process' runtime, whichever thread asks.
#[derive(Debug)]
pub(super) struct Exporting {
    client: Client<HttpConnector, Full<Bytes>>,
    runtime: Handle,
    signal: &'static str,
}

impl Exporting {
    /// A client for the `signal` that is named where an export fails.
    pub(super) fn new(runtime: Handle, signal: &'static str) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(1)
            .build_http();
        Self {
            client,
            runtime,
            signal,
        }
    }
}

#[async_trait]
impl HttpClient for Exporting {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let exchange = async move {
            let answer = client.request(request.map(Full::new)).await?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?;
            Ok::<_, HttpError>(Response::from_parts(parts, body.to_bytes()))
        };
        // The exporters' threads have no reactor of their own.
        let bounded = async { tokio::time::timeout(WITHIN, exchange).await };
        let answered = match self.runtime.spawn(bounded).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(late)) => Err(late.into()),
            Err(ended) => Err(ended.into()),
        };
        let taken = answered.as_ref().is_ok_and(|it| it.status().is_success());
        if !taken {
            observe::EXPORTS_FAILED.add(1, [&self.signal]);
        }
        answered
    }
}
