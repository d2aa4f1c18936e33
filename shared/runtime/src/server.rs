//! Serves an app by the Knative container contract: HTTP/1.1 and h2c on one port, readiness, and a stop that loses
//! no request.
//!
//! `axum::serve` and `hyper_util`'s builder wait for ever where a client can make them wait. Here nothing does:
//! the stream has deadlines (`stream`), an idle connection is closed (`connection`), and there is a cap on
//! connections, which the files that the process may open lower where they must.
//!
//! **Stopping.** First `/health/ready` says 503 and every answer ends its HTTP/1 connection (HTTP/2 gets GOAWAY
//! at once), while connections are still accepted, for [`Limits::notice`]. Then nothing is accepted any more, idle
//! connections are closed, and requests in flight have [`Limits::drain`] to end.

mod connection;
mod listener;
mod stream;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use axum::Router;
use futures::FutureExt as _;
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{SignalKind, signal},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};

pub use listener::Listener;

use crate::{
    app::{self, App},
    env,
    limit::Limits,
    telemetry,
};

/// After accept failed, for want of file descriptors or memory as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the kernel may hold of connections that are not accepted yet.
///
/// A sale's first second brings thousands of new connections. Of those that the usual 128 do not hold, the kernel drops the
/// first packet, and they come a second late. The kernel lowers this to its own bound (`somaxconn`).
const BACKLOG: u16 = 4096;

/// Serves `router` on `PORT` (8080 if it is not set) until SIGTERM or SIGINT.
pub(crate) async fn serve(router: Router) -> anyhow::Result<()> {
    let port = u16::try_from(env::number("PORT", 8080, 0..=65535)?)?;
    let stop = stop_signal()?;
    let listener = listen((Ipv4Addr::UNSPECIFIED, port).into());
    let listener = listener.with_context(|| format!("cannot listen on PORT {port}"))?;
    let served = serve_on(listener, app::app(router), Limits::default(), stop).await;
    telemetry::stop().await;
    Ok(served?)
}

/// Listens for as many connections at once as a sale brings.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restart finds connections of the one before it that are not quite over.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG.into())
}

/// Ends at the first SIGTERM or SIGINT after this call (not after the first poll).
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Serves an app (what [`crate::app()`] made) until `shutdown`, then drains.
///
/// Ends once every connection has ended, or was cut off when [`Limits::drain`] was over.
pub async fn serve_on<L: Listener>(
    listener: L,
    app: App,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    tracing::info!(server.address = listener.address()?, "listening");
    let limits = Limits {
        connections: affordable(limits.connections),
        ..limits
    };
    let (server, stages) = Server::new(app, limits);
    tokio::select! {
        never = server.accept(&listener) => match never {},
        () = shutdown => {}
    }
    tracing::info!("stopping");
    server.connections.draining.store(true, Ordering::Relaxed);
    stages.send_replace(Stage::Leaving);
    // The time is over by design: this accepts for as long as it lasts.
    let _ = timeout(server.limits.notice, server.accept(&listener)).await;
    server.accept_waiting(&listener);
    drop(listener);
    if timeout(server.limits.drain, server.drained())
        .await
        .is_err()
    {
        tracing::warn!("requests in flight were cut off");
    }
    stages.send_replace(Stage::Over);
    Ok(())
}

/// As many connections as there may be, or fewer if the process may not open the files. Half of the files are left to
/// what the requests themselves need: connections to the store, Redis and the broker.
///
/// Systems let a process raise its limit, but begin it low (Linux: 1,024; macOS: 256).
fn affordable(connections: usize) -> usize {
    let wanted = u64::try_from(connections.saturating_mul(2)).unwrap_or(u64::MAX);
    let files = rlimit::increase_nofile_limit(wanted).or_else(|error| {
        tracing::warn!(%error, "the limit of open files cannot be raised");
        rlimit::Resource::NOFILE.get_soft()
    });
    let files = files.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    });
    let affordable = connections.min(files / 2).max(1);
    if affordable < connections {
        tracing::info!(files, connections = affordable, "the limit of open files");
    }
    affordable
}

/// How far a server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Serving,
    /// Told to stop.
    Leaving,
    /// Everything that is still open is cut off.
    Over,
}

struct Server {
    limits: Arc<Limits>,
    /// One permit for each connection there may be.
    slots: Arc<Semaphore>,
    connections: connection::Connections,
}

impl Server {
    fn new(app: App, limits: Limits) -> (Self, watch::Sender<Stage>) {
        let limits = Arc::new(limits);
        let (stages, stage) = watch::channel(Stage::Serving);
        let server = Self {
            slots: Arc::new(Semaphore::new(limits.connections)),
            connections: connection::Connections {
                app,
                builder: Arc::new(connection::builder(&limits)),
                limits: limits.clone(),
                draining: Arc::new(AtomicBool::new(false)),
                stage,
            },
            limits,
        };
        (server, stages)
    }

    async fn accept(&self, listener: &impl Listener) -> std::convert::Infallible {
        loop {
            match self.next(listener).await {
                Ok((stream, slot)) => self.connections.spawn(stream, slot),
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// The connections that clients believe to be open already: closing the listener would reset them.
    fn accept_waiting(&self, listener: &impl Listener) {
        for _ in 0..BACKLOG {
            match self.next(listener).now_or_never() {
                Some(Ok((stream, slot))) => self.connections.spawn(stream, slot),
                Some(Err(_)) | None => return,
            }
        }
    }

    async fn next<L: Listener>(
        &self,
        listener: &L,
    ) -> io::Result<(L::Stream, OwnedSemaphorePermit)> {
        let slot = self.slots.clone().acquire_owned().await;
        let slot = slot.map_err(io::Error::other)?;
        Ok((listener.next_stream().await?, slot))
    }

    /// Ends when every connection has given its permit back.
    async fn drained(&self) {
        let all = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        let _ = self.slots.acquire_many(all).await;
    }
}

#[cfg(test)]
mod tests;
