//! What every function stands on: problem documents, extractors, environment, tunables, logs, and the server.
//!
//! A function is one axum `Router`. [`app()`] puts the edge around it (fallbacks, limits, headers, panics),
//! [`server`] serves it by the container contract and `lambda` (feature `aws`) under the Lambda Runtime API; [`serve()`] does
//! all of it for a `main.rs`. No other crate knows Lambda.

pub mod app;
pub mod clock;
pub mod env;
pub mod extract;
#[cfg(feature = "aws")]
mod lambda;
pub mod limit;
pub mod openapi;
pub mod problem;
mod serve;
pub mod server;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tunables;

pub use app::{App, app};
pub use env::Secret;
pub use limit::Limits;
pub use problem::{Code, Problem};
pub use serve::{serve, serve_events};
pub use tunables::Live;
