//! Over real sockets, within shortened limits. What is asserted is how a connection ends, not when.

mod bounds;
mod stopping;

use std::{net::SocketAddr, sync::atomic::AtomicUsize};

use axum::{
    extract::State,
    routing::{get, post},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, client::conn::http2, header::CONTENT_TYPE};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixListener, UnixStream},
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use super::*;
use crate::{app::app_with, extract};

/// What the test's handlers share with the test.
#[derive(Clone, Default)]
struct Gate {
    started: Arc<AtomicUsize>,
    open: Arc<Notify>,
}

struct Running {
    address: SocketAddr,
    gate: Gate,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<io::Result<()>>,
}

impl Running {
    async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Gate::default();
        let app = app_with(router(gate.clone()), limits.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve_on(listener, app, limits, async {
            stopped.await.ok();
        }));
        Self {
            address,
            gate,
            stop: Some(stop),
            server,
        }
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    async fn ended(self) {
        within(self.server).await.unwrap().unwrap();
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a connection of their own, and reads until it is closed.
    async fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let (mut from, mut to) = self.connect().await.into_split();
        let request = request.as_ref().to_vec();
        let sending = tokio::spawn(async move {
            // The server may close before it has taken everything.
            let _ = to.write_all(&request).await;
            to
        });
        let answer = read_to_end(&mut from).await;
        drop(within(sending).await.unwrap());
        answer
    }

    async fn http2(&self) -> http2::SendRequest<Empty<Bytes>> {
        let stream = TokioIo::new(self.connect().await);
        let (client, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        client
    }
}

fn router(gate: Gate) -> Router {
    Router::new()
        .route("/hello", get(async || "hello"))
        .route(
            "/bytes",
            post(async |extract::Bytes(all): extract::Bytes| all.len().to_string()),
        )
        .route("/gate", get(wait))
        .route("/endless", get(endless))
        .with_state(gate)
}

async fn wait(State(gate): State<Gate>) -> &'static str {
    gate.started.fetch_add(1, Ordering::SeqCst);
    gate.open.notified().await;
    "through"
}

async fn endless() -> axum::body::Body {
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let chunks = futures::stream::repeat_with(move || Ok::<_, io::Error>(chunk.clone()));
    axum::body::Body::from_stream(chunks)
}

/// A deadline for what must happen at all; the machine may be slow.
async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(30), future)
        .await
        .expect("it never happened")
}

/// Everything up to the end of the connection, be it an orderly end or a reset.
async fn read_to_end(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    let _ = within(stream.read_to_end(&mut all)).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// One answer with a `Content-Length`, of a connection that stays open.
async fn read_answer(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    within(async {
        while !whole(&answer) {
            answer.push(stream.read_u8().await.unwrap());
        }
    })
    .await;
    String::from_utf8(answer).unwrap()
}

fn whole(answer: &[u8]) -> bool {
    let text = std::str::from_utf8(answer).unwrap();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.unwrap().parse::<usize>().unwrap() == body.len()
}

async fn get_http2(client: &mut http2::SendRequest<Empty<Bytes>>, path: &str) -> (u16, String) {
    let request = Request::get(format!("http://localhost{path}"));
    let answer = client.send_request(request.body(Empty::new()).unwrap());
    let answer = within(answer).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn http1_and_http2_share_the_port() {
    let server = Running::start(Limits::default()).await;
    let answer = server
        .exchange("GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
        "{answer}"
    );
    let mut client = server.http2().await;
    assert_eq!(
        get_http2(&mut client, "/hello").await,
        (200, "hello".to_owned())
    );
    assert_eq!(get_http2(&mut client, "/nowhere").await.0, 404);
}

#[tokio::test]
async fn an_http1_connection_serves_one_request_after_another() {
    let server = Running::start(Limits::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream
            .write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        assert!(read_answer(&mut stream).await.ends_with("hello"));
    }
}

#[tokio::test]
async fn a_private_socket_is_served_too() {
    let path = std::env::temp_dir().join(format!("spike-runtime-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let app = crate::app(router(Gate::default()));
    let server = tokio::spawn(serve_on(listener, app, Limits::default(), async {
        stopped.await.ok();
    }));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(read_answer(&mut stream).await.ends_with("hello"));
    drop(stream);
    stop.send(()).unwrap();
    within(server).await.unwrap().unwrap();
}

#[tokio::test]
async fn more_connections_than_the_cap_wait_for_a_place() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let server = Running::start(limits).await;
    let mut first = server.connect().await;
    first
        .write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(read_answer(&mut first).await.ends_with("hello"));
    let mut second = server.connect().await;
    second
        .write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let waits = timeout(Duration::from_millis(200), second.read_u8()).await;
    assert!(waits.is_err(), "it was served beyond the cap");
    drop(first);
    assert!(read_answer(&mut second).await.ends_with("hello"));
}
