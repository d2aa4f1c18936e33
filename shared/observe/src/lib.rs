//! What operators see of a running process besides its logs: the table of all instruments, and the trace at hand.
//!
//! A crate of its own below the adapters, because Redis, the store and the broker are measured where they are called,
//! and these crates do not know `runtime`, which exports what is measured.
//!
//! **Off, nothing is measured.** Until [`start`] is called, an instrument is one load of an atomic and a branch: no clock
//! is read, no attribute is formatted, nothing is allocated.
//!
//! Attributes stand in the table, each with few values. Spikes are few enough to be one; orders and users are not, and
//! belong to the log line that stands beside each of these calls.

mod instruments;
mod table;

use opentelemetry::{Context, trace::TraceContextExt};

pub use instruments::{About, Counter, Gauge, Histogram, Kind, Stopwatch};
pub use table::*;

/// The target of spans that are exported. Logs take none of them below `INFO`.
pub const SPANS: &str = "otel";

/// The trace at hand as W3C Trace Context writes it (`00-<trace id>-<span id>-<flags>`); none while traces are off.
///
/// Source: <https://www.w3.org/TR/trace-context-1/#traceparent-header>.
#[must_use]
pub fn traceparent() -> Option<String> {
    Context::map_current(|context| {
        let span = context.span();
        let at = span.span_context();
        at.is_valid().then(|| {
            let flags = at.trace_flags().to_u8();
            format!("00-{}-{}-{flags:02x}", at.trace_id(), at.span_id())
        })
    })
}

#[cfg(test)]
mod tests;
