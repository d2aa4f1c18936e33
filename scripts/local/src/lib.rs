//! The whole of Spike on one machine: every function behind one port, with the parts that they need embedded.
//!
//! | part | here |
//! |---|---|
//! | stock | a real `redis-server`, as a child ([`redis`]) |
//! | durable store | the DynamoDB API on an SQLite file ([`engine`]) |
//! | events | a broker in memory ([`broker`]) |
//! | timer | an interval ([`timer`]) |
//!
//! [`Local`] is all of it; [`functions`] is where the functions are put together.

pub mod broker;
pub mod data;
pub mod demo;
pub mod engine;
pub mod functions;
pub mod openapi;
pub mod redis;
pub mod testing;
pub mod timer;

mod admin;
mod up;

use std::net::Ipv4Addr;

use anyhow::Context;
use tokio::net::TcpListener;

pub use admin::Admin;
pub use up::{Local, Options};

/// What is printed in front of the address when everything is ready.
pub const READY: &str = "Spike is ready at ";

/// Listens on a port of the loopback address (0: a free one).
pub fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let bound = runtime::server::listen((Ipv4Addr::LOCALHOST, port).into());
    bound.with_context(|| format!("cannot listen on port {port}"))
}
