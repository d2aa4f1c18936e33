//! Where traces and metrics go: by OTLP (HTTP, protobuf) to the collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names.
//!
//! Source: <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::{KeyValue, metrics::MeterProvider as _};
use opentelemetry_otlp::{
    MetricExporter, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{IdGenerator as _, RandomIdGenerator, SdkTracerProvider},
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
    pub(super) meters: SdkMeterProvider,
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
        let resource = resource(service, &Resource::builder().build());
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
    #[cfg(feature = "aws")]
    pub(super) fn flush(&self) {
        let spans = self.tracers.force_flush();
        if let Err(error) = spans.and(self.meters.force_flush()) {
            tracing::debug!(%error, "traces and metrics of an invocation were not exported");
        }
    }

    /// Exports what waits, for the last time, on the calling thread, which waits for it: some seconds at most.
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

/// What `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` have `given`, with the function's name and a random instance
/// where these are not among it.
///
/// Without the instance, sums of two processes of one function would be one series that jumps between the two.
/// Source: <https://opentelemetry.io/docs/specs/semconv/resource/#service>.
fn resource(service: &'static str, given: &Resource) -> Resource {
    let is_given = |key: &'static str| {
        let value = given.get(&key.into()).map(|value| value.to_string());
        value.is_some_and(|value| !value.starts_with("unknown_service"))
    };
    let given_attributes = given.iter();
    let given_attributes =
        given_attributes.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let mut builder = Resource::builder_empty().with_attributes(given_attributes);
    if !is_given("service.name") {
        builder = builder.with_service_name(service);
    }
    if !is_given("service.instance.id") {
        let random = RandomIdGenerator::default().new_trace_id();
        builder = builder.with_attribute(KeyValue::new("service.instance.id", random.to_string()));
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(resource: &Resource, key: &'static str) -> String {
        resource.get(&key.into()).unwrap().to_string()
    }

    #[test]
    fn a_process_names_itself_unless_its_operator_has_named_it() {
        let nothing = Resource::builder_empty().build();
        let (one, other) = (resource("tested", &nothing), resource("tested", &nothing));
        assert_eq!(text(&one, "service.name"), "tested");
        let instance = |of| text(of, "service.instance.id");
        assert_ne!(instance(&one), instance(&other));
        let named = Resource::builder_empty().with_service_name("shop");
        let named = named.with_attribute(KeyValue::new("service.instance.id", "pod-7"));
        let named = resource("tested", &named.build());
        assert_eq!(text(&named, "service.name"), "shop");
        assert_eq!(instance(&named), "pod-7");
    }
}
