//! Servers of the emulated services: whole requests in, whole answers out.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    task::{JoinHandle, JoinSet},
};

/// What every handler answers with.
pub type Answer = Response<Full<Bytes>>;

/// A whole head is sent within this.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// After a connection that could not be taken.
const AFTER_A_FAILURE: Duration = Duration::from_millis(50);

/// A server; it ends when this is dropped, and its connections with it.
#[derive(Debug)]
pub struct Server {
    /// Where it listens; 0 for a Unix socket.
    pub port: u16,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves HTTP/1.1. A body of more than `most_bytes` is answered with 413.
    pub fn tcp<F, A>(listener: TcpListener, most_bytes: usize, handler: F) -> anyhow::Result<Self>
    where
        F: Fn(Request<Bytes>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                while connections.try_join_next().is_some() {}
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(AFTER_A_FAILURE).await;
                    continue;
                };
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(stream, most_bytes, handler.clone()));
            }
        });
        Ok(Self { port, task })
    }

    /// The same on a Unix socket.
    pub fn unix<F, A>(listener: UnixListener, most_bytes: usize, handler: F) -> Self
    where
        F: Fn(Request<Bytes>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                while connections.try_join_next().is_some() {}
                match listener.accept().await {
                    Ok((stream, _)) => {
                        connections.spawn(serve(stream, most_bytes, handler.clone()));
                    }
                    Err(_) => tokio::time::sleep(AFTER_A_FAILURE).await,
                }
            }
        });
        Self { port: 0, task }
    }
}

async fn serve<S, F, A>(stream: S, most_bytes: usize, handler: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Bytes>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let (head, body) = request.into_parts();
            let answer = match Limited::new(body, most_bytes).collect().await {
                Ok(body) => handler(Request::from_parts(head, body.to_bytes())).await,
                Err(_) => too_large(),
            };
            Ok::<_, Infallible>(answer)
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new());
    server.header_read_timeout(HEAD_WITHIN);
    // A client that has gone away is nobody's loss.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

fn too_large() -> Answer {
    let mut answer = message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    let close = http::HeaderValue::from_static("close");
    answer.headers_mut().insert(header::CONNECTION, close);
    answer
}

/// An answer as API Gateway gives it where no function does: `{"message":TEXT}`.
#[must_use]
pub fn message(status: StatusCode, text: &str) -> Answer {
    json_answer(status, "application/json", &json!({ "message": text }))
}

/// An answer of JSON.
#[must_use]
pub fn json_answer(status: StatusCode, content_type: &'static str, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    let content_type = http::HeaderValue::from_static(content_type);
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    answer
}
