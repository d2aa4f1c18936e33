//! A proxy in front of the server that loses one request or one answer, and the connection with it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// The server never hears of it.
    Request,
    /// The server has done it, and nobody hears of it.
    Answer,
}

/// The proxy; it ends when this is dropped.
pub(super) struct Tap {
    /// How many requests may still pass; below zero all.
    left: Arc<AtomicI64>,
    pub(super) url: Url,
    task: JoinHandle<()>,
}

impl Tap {
    /// Stands between `url` and whoever connects to `self.url`.
    pub(super) async fn before(url: &Url, loss: Loss) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut own = url.clone();
        own.set_port(Some(listener.local_addr().unwrap().port()))
            .unwrap();
        let server = format!("127.0.0.1:{}", url.port().unwrap());
        let left = Arc::new(AtomicI64::new(-1));
        let shared = Arc::clone(&left);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, left) = (server.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let server = TcpStream::connect(server).await.unwrap();
                    let _ = pass(client, server, &left, loss).await;
                });
            }
        });
        Self {
            left,
            url: own,
            task,
        }
    }

    /// Lets `passing` requests pass and loses the next one.
    pub(super) fn arm(&self, passing: i64) {
        self.left.store(passing, Ordering::SeqCst);
    }

    /// Lets everything pass; whether something had been lost.
    pub(super) fn disarm(&self) -> bool {
        self.left.swap(-1, Ordering::SeqCst) < 0
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes packets on: three bytes of length, one of the number; a request is number 0, and what follows it in a handshake
/// is not.
async fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    left: &AtomicI64,
    loss: Loss,
) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let answers = tokio::io::copy(&mut from_server, &mut to_client);
    let requests = async {
        loop {
            let mut head = [0; 4];
            from_client.read_exact(&mut head).await?;
            let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
            let mut body = vec![0; length as usize];
            from_client.read_exact(&mut body).await?;
            let is_lost =
                head[3] == 0 && is_request(&body) && left.fetch_sub(1, Ordering::SeqCst) == 0;
            if is_lost && loss == Loss::Request {
                return Ok::<bool, std::io::Error>(false);
            }
            to_server.write_all(&head).await?;
            to_server.write_all(&body).await?;
            if is_lost {
                return Ok(true);
            }
        }
    };
    let answer_is_lost = tokio::select! {
        ended = answers => { ended?; return Ok(()); }
        ended = requests => ended?,
    };
    if answer_is_lost {
        // When the first byte of the answer is here, the server has done it.
        from_server.read_exact(&mut [0; 1]).await?;
    }
    Ok(())
}

/// Farewells, closed statements and pings are not what tests are about.
fn is_request(body: &[u8]) -> bool {
    const QUIT: u8 = 0x01;
    const PING: u8 = 0x0e;
    const CLOSE: u8 = 0x19;
    body.first()
        .is_some_and(|command| ![QUIT, PING, CLOSE].contains(command))
}
