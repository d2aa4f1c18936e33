//! What every function stands on: problem documents, extractors, environment, tunables, logs, and the server.
//!
//! A function is one axum `Router`. [`app()`] puts the edge around it (fallbacks, limits, headers, panics),
//! [`server`] serves it by the container contract, and [`serve`] does both for a `main.rs`.

pub mod app;
pub mod clock;
pub mod env;
pub mod extract;
pub mod limit;
pub mod openapi;
pub mod problem;
pub mod server;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tunables;

pub use app::{App, app};
pub use env::Secret;
pub use limit::Limits;
pub use problem::{Code, Problem};
pub use server::serve;
pub use tunables::Live;
