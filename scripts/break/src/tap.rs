//! A small HTTP proxy that can be told to do wrong: in front of the broker, of the writer and of the store.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use runtime::server::Listener;
use store::testing::free_port;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// How many ports are tried.
const TRIES: usize = 20;
/// The largest body that is passed on.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// No answer: the connection is closed.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
pub struct Unanswered {
    /// Whether nobody listened, so that nothing was sent.
    pub refused: bool,
}

/// Passes requests on, each over a connection of its own: a connection that is reused may end under a request.
#[derive(Debug, Clone)]
pub struct Forwarder(Client<HttpConnector, Full<Bytes>>);

impl Default for Forwarder {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self(client)
    }
}

impl Forwarder {
    /// Sends a request to a port of the loopback address.
    pub async fn forward(
        &self,
        port: u16,
        request: &Request<Bytes>,
    ) -> Result<Response<Full<Bytes>>, Unanswered> {
        let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
        let uri: Uri = format!("http://127.0.0.1:{port}{path}")
            .parse()
            .map_err(|_| Unanswered { refused: true })?;
        let mut sent = Request::new(Full::new(request.body().clone()));
        *sent.method_mut() = request.method().clone();
        *sent.uri_mut() = uri;
        *sent.headers_mut() = request.headers().clone();
        let answer = self.0.request(sent).await.map_err(|error| Unanswered {
            refused: error.is_connect(),
        })?;
        let (mut head, body) = answer.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|_| Unanswered { refused: false })?;
        for hop in [header::CONNECTION, header::TRANSFER_ENCODING] {
            head.headers.remove(hop);
        }
        Ok(Response::from_parts(head, Full::new(body.to_bytes())))
    }
}

/// Serves HTTP/1.1 until the runtime ends; a handler that fails closes its connection without an answer.
pub fn serve<F, A>(handler: F) -> anyhow::Result<u16>
where
    F: Fn(Request<Bytes>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response<Full<Bytes>>, Unanswered>> + Send + 'static,
{
    let listener: TcpListener = local::listen(0)?;
    let port = listener.local_addr()?.port();
    serve_on(listener, handler);
    Ok(port)
}

/// As [`serve`], on any socket.
pub fn serve_on<L, F, A>(listener: L, handler: F)
where
    L: Listener + 'static,
    F: Fn(Request<Bytes>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response<Full<Bytes>>, Unanswered>> + Send + 'static,
{
    tokio::spawn(accept(listener, handler));
}

async fn accept<L, F, A>(listener: L, handler: F)
where
    L: Listener,
    F: Fn(Request<Bytes>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response<Full<Bytes>>, Unanswered>> + Send + 'static,
{
    // With the future that accepts end the connections, too.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(stream) = listener.next_stream().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let handler = handler.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let handler = handler.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
                let body = body.map_err(|_| Unanswered { refused: false })?;
                handler(Request::from_parts(head, body.to_bytes())).await
            }
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// What a tap does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes it on.
    Pass,
    /// Nobody listens: connections are refused, and those there were are closed.
    Refuse,
    /// Closes the connection.
    HangUp,
    /// Passes it on and never answers.
    Silent,
    /// Drops it and never answers.
    Lost,
    /// Passes it on so many times; the last answer counts.
    Repeat(u32),
    /// Answers the first so many in place of the server.
    First(u64, Answer),
    /// Answers so many of ten in place of the server.
    OfTen(u64, Answer),
}

/// An answer in place of the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 503.
    Unavailable,
    /// 429.
    TooMany,
    /// As DynamoDB throttles (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>).
    Throttled,
}

/// A proxy in front of one server.
#[derive(Debug)]
pub struct Tap {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: u16,
    mode: watch::Sender<Mode>,
    requests: AtomicU64,
    answered: AtomicU64,
    instead: AtomicU64,
    forwarder: Forwarder,
}

impl Tap {
    /// Listens on a free port and passes everything on to `target`.
    pub fn start(target: u16) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            target,
            mode: watch::Sender::new(Mode::Pass),
            requests: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            instead: AtomicU64::new(0),
            forwarder: Forwarder::default(),
        });
        // Not one that the system may lend to an outgoing connection while nobody listens.
        let (port, listener) = listen_somewhere().context("a tap")?;
        tokio::spawn(Arc::clone(&shared).listen(port, listener));
        Ok(Self { port, shared })
    }

    /// From now on.
    pub fn set(&self, mode: Mode) {
        let Shared {
            requests,
            answered,
            instead,
            ..
        } = &*self.shared;
        for count in [requests, answered, instead] {
            count.store(0, Ordering::Relaxed);
        }
        self.shared.mode.send_replace(mode);
    }

    /// How many requests have been answered by the server since the mode was set.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// How many requests came since the mode was set, and how many of them were answered in place of the server.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let [requests, instead] = [&self.shared.requests, &self.shared.instead];
        (
            requests.load(Ordering::Relaxed),
            instead.load(Ordering::Relaxed),
        )
    }
}

/// Whoever starts a process at this moment has a copy of the socket by which a port was seen to be free, until the process
/// is another program: that port is left alone.
fn listen_somewhere() -> anyhow::Result<(u16, TcpListener)> {
    for _ in 0..TRIES {
        let port = free_port()?;
        if let Ok(listener) = local::listen(port) {
            return Ok((port, listener));
        }
    }
    anyhow::bail!("no port can be listened on")
}

impl Shared {
    /// Listens whenever connections are not refused.
    async fn listen(self: Arc<Self>, port: u16, listener: TcpListener) {
        let mut listener = Some(listener);
        let mut modes = self.mode.subscribe();
        loop {
            let serving = Arc::clone(&self);
            let handler = move |request| {
                let shared = Arc::clone(&serving);
                async move { shared.answer(request).await }
            };
            if let Some(listener) = listener.take() {
                let refused = async { modes.wait_for(|mode| *mode == Mode::Refuse).await.is_ok() };
                tokio::select! {
                    () = accept(listener, handler) => {}
                    _ = refused => {}
                }
            }
            // The sender is our own.
            let _ = modes.wait_for(|mode| *mode != Mode::Refuse).await;
            listener = local::listen(port).ok();
            if listener.is_none() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Passes a request on.
    async fn pass(&self, request: &Request<Bytes>) -> Result<Response<Full<Bytes>>, Unanswered> {
        let answer = self.forwarder.forward(self.target, request).await?;
        self.answered.fetch_add(1, Ordering::Relaxed);
        Ok(answer)
    }

    async fn answer(&self, request: Request<Bytes>) -> Result<Response<Full<Bytes>>, Unanswered> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mode = *self.mode.borrow();
        match mode {
            Mode::Refuse | Mode::HangUp => Err(Unanswered { refused: true }),
            Mode::Silent => {
                let _ = self.pass(&request).await;
                never().await
            }
            Mode::Lost => never().await,
            Mode::Repeat(times) => {
                for _ in 1..times {
                    let _ = self.pass(&request).await;
                }
                self.pass(&request).await
            }
            Mode::First(count, answer) if number < count => self.instead(answer),
            Mode::OfTen(count, answer) if number % 10 < count => self.instead(answer),
            Mode::Pass | Mode::First(..) | Mode::OfTen(..) => self.pass(&request).await,
        }
    }
}

impl Shared {
    fn instead(&self, answer: Answer) -> Result<Response<Full<Bytes>>, Unanswered> {
        self.instead.fetch_add(1, Ordering::Relaxed);
        answer.response()
    }
}

impl Answer {
    fn response(self) -> Result<Response<Full<Bytes>>, Unanswered> {
        let (status, content_type, body) = match self {
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", "not now"),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "text/plain", "slow down"),
            Self::Throttled => (
                StatusCode::BAD_REQUEST,
                "application/x-amz-json-1.0",
                r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}"#,
            ),
        };
        let answer = Response::builder().status(status);
        let answer = answer.header(header::CONTENT_TYPE, content_type);
        let answer = answer.body(Full::new(Bytes::from_static(body.as_bytes())));
        answer.map_err(|_| Unanswered { refused: false })
    }
}

async fn never<T>() -> T {
    match std::future::pending::<Infallible>().await {}
}
