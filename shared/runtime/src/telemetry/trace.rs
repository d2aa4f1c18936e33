//! Traces: one span for each request, linked to the caller's trace, and one for each event, continued from the purchase's.
//!
//! No address is exported, since a purchase has its path token there: a span has the route's shape.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, Method, StatusCode},
};
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator as _},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The longest segment of our routes (`openid-configuration`). A path token is longer.
const SEGMENT_MAX: usize = 20;

/// The span of a request. Anybody can send a `traceparent`, and with it decide which trace is kept: it is a link only, unless
/// the edge in front is `trusted` to have set it; then it is continued.
pub(crate) fn request(request: &Request, trusted: bool) -> Span {
    let span = tracing::info_span!(
        target: observe::SPANS, "request",
        otel.name = method(request.method()), otel.kind = "server", otel.status_code = tracing::field::Empty,
        http.request.method = method(request.method()), http.route = tracing::field::Empty,
        http.response.status_code = tracing::field::Empty, trace.id = tracing::field::Empty,
    );
    let caller = TraceContextPropagator::new().extract(&Headers(request.headers()));
    if trusted {
        adopt(&span, caller);
    } else {
        let linked = caller.span().span_context().clone();
        if linked.is_valid() {
            span.add_link(linked);
        }
        adopt(&span, Context::new());
    }
    span
}

/// Completes the span of a request with what became of it. An address that nobody has is not named.
pub(crate) fn answered(span: &Span, method: &Method, path: &str, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    if status != StatusCode::NOT_FOUND && status != StatusCode::METHOD_NOT_ALLOWED {
        let route = shape(path);
        let name = format!("{} {route}", self::method(method));
        // The layer would leave the name of a span that has begun as it is.
        span.context().span().update_name(name);
        span.record("http.route", route);
    }
}

/// The span of an event's work: part of the trace in which the event was sent, linked to the delivery at hand.
///
/// Nothing while traces are off.
#[must_use]
pub fn event(name: &'static str, traceparent: Option<&str>) -> Span {
    if !super::traces() {
        return Span::none();
    }
    let delivery = Span::current().context().span().span_context().clone();
    let span = tracing::info_span!(
        target: observe::SPANS, "event", otel.name = name, otel.kind = "consumer", trace.id = tracing::field::Empty,
    );
    let sent = TraceContextPropagator::new().extract(&Attribute(traceparent));
    if sent.span().span_context().is_valid() {
        span.add_link(delivery);
        adopt(&span, sent);
    }
    span
}

/// Makes the span a part of `parent`'s trace, if that is one, and lets the log lines inside say which trace it is.
fn adopt(span: &Span, parent: Context) {
    if parent.span().span_context().is_valid() {
        // Fails only for a span that is disabled or was entered.
        let _ = span.set_parent(parent);
    }
    let trace_id = span.context().span().span_context().trace_id();
    span.record("trace.id", trace_id.to_string());
}

/// The method, if it is one that HTTP knows: anything else is somebody's invention.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

/// The path with `{}` in place of everything that is no word of ours: ids, tokens, names.
fn shape(path: &str) -> String {
    let is_word = |segment: &str| {
        let mut letters = segment.bytes();
        segment.len() <= SEGMENT_MAX
            && letters.all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'.'))
    };
    let segments = path.split('/');
    let shaped = segments.map(|segment| if is_word(segment) { segment } else { "{}" });
    shaped.collect::<Vec<_>>().join("/")
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// An event's attribute, where only one matters.
struct Attribute<'a>(Option<&'a str>);

impl Extractor for Attribute<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.filter(|_| key == "traceparent")
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_an_address_has_neither_ids_nor_tokens() {
        let purchase = "/spikes/01900000-0000-7000-8000-000000000000/orders/mjabcdefghijklmnopqrst";
        assert_eq!(shape(purchase), "/spikes/{}/orders/{}");
        assert_eq!(shape("/admin/spikes"), "/admin/spikes");
        let known = "/.well-known/openid-configuration";
        assert_eq!(shape(known), known);
        assert_eq!(shape("/"), "/");
    }

    #[test]
    fn an_event_has_no_span_while_traces_are_off() {
        assert!(event("work", Some("00-1-1-01")).is_none());
    }
}
