//! A proxy in front of Redis that can be slow, and can be switched to another server.

use std::{io, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::{mpsc, watch},
    time::Instant,
};

/// Where the bytes go and how late the answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The server's port on the loopback address.
    pub port: u16,
    /// How much later than it was given an answer arrives.
    pub delay: Duration,
}

/// The proxy.
#[derive(Debug)]
pub struct Wire {
    /// Where it listens.
    pub port: u16,
    route: watch::Sender<Route>,
}

impl Wire {
    /// Listens on a free port and passes everything on to `target`.
    pub fn start(target: u16) -> anyhow::Result<Self> {
        let (route, routes) = watch::channel(Route {
            port: target,
            delay: Duration::ZERO,
        });
        let listener = local::listen(0)?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                // A connection that cannot be made is closed, which says enough.
                tokio::spawn(carry(client, routes.clone()));
            }
        });
        Ok(Self { port, route })
    }

    /// Leads to another server. Connections to the one before are closed.
    pub fn switch(&self, port: u16) {
        self.route.send_modify(|route| route.port = port);
    }

    /// Delays every answer from now on.
    pub fn delay(&self, delay: Duration) {
        self.route.send_modify(|route| route.delay = delay);
    }
}

async fn carry(client: TcpStream, mut routes: watch::Receiver<Route>) -> io::Result<()> {
    let port = routes.borrow_and_update().port;
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let switched = {
        let mut routes = routes.clone();
        async move {
            // An error says that the proxy is gone.
            let _ = routes.wait_for(|route| route.port != port).await;
        }
    };
    tokio::select! {
        () = switched => Ok(()),
        done = tokio::io::copy(&mut from_client, &mut to_server) => done.map(drop),
        done = answers(from_server, to_client, routes) => done,
    }
}

/// Each answer as much later as the route says then; many may be on their way.
async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    routes: watch::Receiver<Route>,
) -> io::Result<()> {
    let (late, mut due) = mpsc::unbounded_channel::<(Instant, Bytes)>();
    let read = async move {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let length = from.read(&mut chunk).await?;
            if length == 0 {
                return Ok(());
            }
            let at = Instant::now() + routes.borrow().delay;
            let bytes = Bytes::copy_from_slice(&chunk[..length]);
            if late.send((at, bytes)).is_err() {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some((at, bytes)) = due.recv().await {
            tokio::time::sleep_until(at).await;
            to.write_all(&bytes).await?;
        }
        Ok(())
    };
    tokio::try_join!(read, write).map(drop)
}
