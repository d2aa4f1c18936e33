//! Logs, and the traces and metrics beside them.
//!
//! Logs are one JSON object a line on standard error, always. Traces and metrics leave by OTLP if
//! `OTEL_EXPORTER_OTLP_ENDPOINT` is set (an `http://` address); then log lines of a request or an event name its trace,
//! too. Else nothing of that is there: a request costs one more load of an atomic. `docs/operations.md` has the details.

mod client;
mod export;
mod spans;
pub(crate) mod trace;

use std::{sync::OnceLock, thread, time::Duration};

use opentelemetry::trace::TracerProvider as _;
use tokio::{runtime::Handle, sync::oneshot};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets, filter_fn},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::env;
use export::Pipeline;

pub use trace::event;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const LEVELS: &str = "RUST_LOG";
const TRUST: &str = "TRUST_TRACEPARENT";
/// How long the end of a process may wait for the endpoint.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How long an invocation may wait for the endpoint.
#[cfg(feature = "aws")]
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// What exports; nothing unless the endpoint is set.
static PIPELINE: OnceLock<Pipeline> = OnceLock::new();
/// Whether the edge in front of this process sets `traceparent` itself.
static TRUSTED: OnceLock<bool> = OnceLock::new();

/// Starts logging for this process, filtered by `RUST_LOG` (`info` if it is not set), and exporting if an endpoint is set.
/// Called on the process' runtime.
///
/// A panic becomes a log line, too. An endpoint that cannot be one is logged, and nothing is exported: no sale stands
/// still for that. A second call changes nothing, so tests may call it as they like.
pub fn init(function: &'static str) {
    let endpoint = env::optional(ENDPOINT);
    let pipeline =
        endpoint.map(|endpoint| Pipeline::start(function, &endpoint, &Handle::current()));
    let (pipeline, refused) = match pipeline.transpose() {
        Ok(pipeline) => (pipeline, None),
        Err(refused) => (None, Some(refused)),
    };
    if log(pipeline.as_ref()) {
        std::panic::set_hook(Box::new(log_panic));
        tracing::info!(
            service.name = function,
            otlp = pipeline.is_some(),
            "starting"
        );
    }
    if let Some(refused) = refused {
        tracing::error!("{ENDPOINT} is {refused:#}; traces and metrics are not exported");
    }
    let _ = TRUSTED.set(env::optional(TRUST).is_some_and(|it| it == "true"));
    if let Some(pipeline) = pipeline {
        let _ = PIPELINE.set(pipeline);
    }
}

/// Exports what waits, and ends exporting. Called once, at the end of the process; takes at most five seconds.
pub async fn stop() {
    if PIPELINE.get().is_none() {
        return;
    }
    let (done, stopped) = oneshot::channel();
    // A thread that the end of the process does not wait for.
    thread::spawn(move || {
        if let Some(pipeline) = PIPELINE.get() {
            pipeline.stop();
        }
        let _ = done.send(());
    });
    let _ = tokio::time::timeout(STOP_WITHIN, stopped).await;
}

/// Exports what waits, for a process that may be frozen at any moment from then on. Takes at most a second: what the endpoint
/// does not take within it is lost and counted, and the next invocation does not wait for it.
#[cfg(feature = "aws")]
pub(crate) async fn flush() {
    if let Some(pipeline) = PIPELINE.get() {
        let flushed = tokio::task::spawn_blocking(|| pipeline.flush());
        let _ = tokio::time::timeout(FLUSH_WITHIN, flushed).await;
    }
}

/// Whether there are traces.
pub(crate) fn traces() -> bool {
    PIPELINE.get().is_some()
}

/// Whether the `traceparent` of requests is the edge's, and so continued.
pub(crate) fn trusts_edge() -> bool {
    TRUSTED.get().copied().unwrap_or(false)
}

/// Starts logging; whether this was the first call.
fn log(pipeline: Option<&Pipeline>) -> bool {
    let filter = filter(env::optional(LEVELS).as_deref());
    let logs = tracing_subscriber::fmt::layer().json().flatten_event(true);
    let logs = logs.with_writer(std::io::stderr);
    let Some(pipeline) = pipeline else {
        let only = tracing_subscriber::registry().with(logs).with(filter);
        return only.try_init().is_ok();
    };
    let both = tracing_subscriber::registry()
        .with(logs.with_span_list(false).with_filter(filter))
        .with(spans_to(pipeline));
    both.try_init().is_ok()
}

/// What is logged: levels of everything and of targets, `warn,spike=debug`. Whatever would filter by spans and fields brings
/// an engine of regular expressions into every binary, for what no operator has asked for.
fn filter(levels: Option<&str>) -> Targets {
    let levels = levels.and_then(|levels| levels.parse().ok());
    levels.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO))
}

/// Hands the spans that are for operators to the pipeline.
fn spans_to<S>(pipeline: &Pipeline) -> impl Layer<S> + use<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_tracer(pipeline.tracers.tracer("spike"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(|it| {
            it.is_span() && it.target() == observe::SPANS
        }))
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let message = panic.payload_as_str().unwrap_or("no message");
    tracing::error!(
        exception.message = message,
        code.location = place,
        "panicked"
    );
}

/// Exports to `endpoint` until the answer is called, whatever the environment says. Spans are not gathered.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn export_to(endpoint: &str) -> anyhow::Result<impl FnOnce() + Send + 'static + use<>> {
    let pipeline = Pipeline::start("tested", endpoint, &Handle::current())?;
    Ok(move || pipeline.stop())
}

#[cfg(test)]
mod tests;
