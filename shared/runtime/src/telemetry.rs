//! Logs: one JSON object a line on standard error.

use tracing_subscriber::EnvFilter;

/// Starts logging for this process, filtered by `RUST_LOG` (`info` if it is not set).
///
/// A panic becomes such a line, too. A second call changes nothing, so tests may call it as they like.
pub fn init(function: &'static str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init()
        .is_ok();
    if started {
        std::panic::set_hook(Box::new(log_panic));
        tracing::info!(service.name = function, "starting");
    }
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
