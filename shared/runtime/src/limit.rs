//! The bounds of a server and of a request's body.

mod bounded;

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use axum::{extract::Request, response::Response};
use tower::{Layer, Service};

pub(crate) use bounded::bound;
pub use bounded::{BodyError, problem};

/// What a body may weigh unless its route says otherwise.
pub const BODY_BYTES: u64 = 16 * 1024;

const MIB: u64 = 1024 * 1024;

/// Every bound of a server. The default is what is shipped; tests shorten it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From accept to the first whole request head, and from the first byte of any later head to its last.
    pub head: Duration,
    /// The request line and all header fields together, in bytes; at least 8 KiB.
    pub head_bytes: usize,
    /// How long a body's bytes may be waited for, in sum.
    pub body: Duration,
    /// A body's size in bytes, unless its route says otherwise.
    pub body_bytes: u64,
    /// How long an answer may wait for the client to take more of it.
    pub write: Duration,
    /// A connection that brings no request for this long, and at most for twice this long, is closed.
    pub idle: Duration,
    /// Between two HTTP/2 pings; a ping must be answered within `head`.
    pub ping: Duration,
    /// HTTP/2 streams of one connection at a time.
    pub streams: u32,
    /// Connections at a time; more wait to be accepted.
    pub connections: usize,
    /// How long a client that still sends is listened to after its connection was closed, so that it can read
    /// the answer.
    pub linger: Duration,
    /// After the signal to stop: how long connections are still accepted and idle ones kept.
    pub notice: Duration,
    /// After the signal to stop: how long the requests in flight have.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(5),
            head_bytes: 16 * 1024,
            body: Duration::from_secs(5),
            body_bytes: BODY_BYTES,
            write: Duration::from_secs(30),
            idle: Duration::from_mins(1),
            ping: Duration::from_secs(5),
            streams: 128,
            connections: 20_000,
            linger: Duration::from_secs(1),
            notice: Duration::from_millis(300),
            drain: Duration::from_secs(10),
        }
    }
}

/// A layer for one route whose bodies may have up to `bytes` bytes.
///
/// The time that such a body may be waited for grows with it: the usual time for each MiB begun. It works inside
/// of [`crate::app()`], which does the counting.
#[must_use]
pub fn body(bytes: u64) -> BodyLimit {
    BodyLimit { bytes }
}

/// What [`body`] makes.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit {
    bytes: u64,
}

impl<S> Layer<S> for BodyLimit {
    type Service = BodyLimited<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BodyLimited {
            inner,
            bytes: self.bytes,
        }
    }
}

/// A service whose requests may have bodies of another size than usual.
#[derive(Debug, Clone)]
pub struct BodyLimited<S> {
    inner: S,
    bytes: u64,
}

impl<S> Service<Request> for BodyLimited<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if let Some(allowance) = request.extensions().get::<bounded::Allowance>() {
            let times = u32::try_from(self.bytes.div_ceil(MIB)).unwrap_or(u32::MAX);
            allowance.grant(self.bytes, times.max(1));
        }
        self.inner.call(request)
    }
}
