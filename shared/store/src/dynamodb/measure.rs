//! Measures each request to the engine: how long it took, under which operation's name, and what came of it.

use aws_sdk_dynamodb::config::{
    ConfigBag, Intercept, RuntimeComponents,
    interceptors::{BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{interceptors::dyn_dispatch_hint, orchestrator::Metadata},
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use observe::Stopwatch;
use tracing::Span;

/// Hears when a request begins and ends. Off, it does nothing but look whether it is on.
#[derive(Debug)]
pub(super) struct Measure;

/// A request under way; the span ends with it.
#[derive(Debug)]
struct Request {
    begun: Stopwatch,
    _span: Span,
}

impl Storable for Request {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for Measure {
    fn name(&self) -> &'static str {
        "Measure"
    }

    // Before the execution the operation is not known yet.
    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let begun = observe::STORE.begin();
        if begun.is_stopped() {
            return Ok(());
        }
        let name = operation(cfg);
        // No call of ours lists tables: that is how a connection is opened.
        if name == "ListTables" {
            return Ok(());
        }
        let span = tracing::debug_span!(
            target: observe::SPANS, "store", otel.name = name, otel.kind = "client",
        );
        cfg.interceptor_state()
            .store_put(Request { begun, _span: span });
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(request) = cfg.load::<Request>() {
            // A condition that does not hold is an answer like others.
            let outcome = match context.output_or_error() {
                Some(Ok(_)) => "ok",
                Some(Err(error)) if error.is_operation_error() => "refused",
                Some(Err(_)) | None => "failed",
            };
            observe::STORE.end(request.begun, [&operation(cfg), &outcome]);
        }
        Ok(())
    }
}

fn operation(cfg: &ConfigBag) -> &str {
    cfg.load::<Metadata>().map_or("unknown", Metadata::name)
}
