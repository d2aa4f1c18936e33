//! Where traces and metrics go: by OTLP (HTTP, protobuf) to the collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names.
//!
//! Source: <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_otlp::{
    MetricExporter, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::SdkTracerProvider,
};
use tokio::runtime::Handle;
use url::Url;

use super::{
    client::{Exporting, WITHIN},
    spans::Queue,
};

/// What exports the signals of this process.
pub(super) struct Pipeline {
    pub(super) tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
}

impl Pipeline {
    /// Starts exporting to the collector at this address. Nothing is connected yet: one that is away is no failure.
    pub(super) fn start(
        service: &'static str,
        endpoint: &str,
        runtime: &Handle,
    ) -> anyhow::Result<Self> {
        let base = Url::parse(endpoint).context("not a URL")?;
        anyhow::ensure!(base.scheme() == "http", "not an http:// URL");
        let base = base.as_str().trim_end_matches('/');
        let resource = resource(service);
        let spans = SpanExporter::builder()
            .with_http()
            .with_http_client(Exporting::new(runtime.clone(), "traces"))
            .with_retry_policy(never())
            .with_timeout(WITHIN)
            .with_endpoint(format!("{base}/v1/traces"))
            .build()?;
        let metrics = MetricExporter::builder()
            .with_http()
            .with_http_client(Exporting::new(runtime.clone(), "metrics"))
            .with_retry_policy(never())
            .with_timeout(WITHIN)
            .with_endpoint(format!("{base}/v1/metrics"))
            .build()?;
        let tracers = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_span_processor(Queue::start(spans)?)
            .build();
        let meters = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(PeriodicReader::builder(metrics).build())
            .build();
        observe::start(&meters.meter("spike"));
        Ok(Self { tracers, meters })
    }

    /// Exports what waits, on the calling thread, which waits for it: some seconds at most.
    pub(super) fn stop(&self) {
        let spans = self.tracers.shutdown_with_timeout(Duration::from_secs(3));
        // After the spans, so that it also says how many of them were lost.
        let metrics = self.meters.shutdown_with_timeout(Duration::from_secs(3));
        if let Err(error) = spans.and(metrics) {
            tracing::warn!(%error, "the last traces and metrics were not exported");
        }
    }
}

/// What is not taken is lost and counted: a second try would keep newer signals waiting.
fn never() -> RetryPolicy {
    RetryPolicy::default().with_max_retries(0)
}

/// The function's name, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` give another.
fn resource(service: &'static str) -> Resource {
    let given = Resource::builder().build();
    let name = given
        .get(&"service.name".into())
        .map(|name| name.to_string());
    let is_given = name.is_some_and(|name| !name.starts_with("unknown_service"));
    let builder = Resource::builder();
    if is_given {
        builder.build()
    } else {
        builder.with_service_name(service).build()
    }
}
