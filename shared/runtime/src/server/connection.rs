//! One connection from accept to close.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Version, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, watch},
    time::sleep,
};

use super::{
    Stage,
    stream::{Activity, Watched},
};
use crate::{
    app::App,
    limit::Limits,
    problem::{Code, Problem},
};

/// What a stream of an HTTP/2 connection, and the connection as a whole, may send before it is read.
const STREAM_WINDOW: u32 = 65_535;
const CONNECTION_WINDOW: u32 = 2 * STREAM_WINDOW;
/// What is buffered of one answer.
const SEND_BUFFER: usize = 64 * 1024;

/// The settings of HTTP that hyper looks after.
pub(super) fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // No timer for HTTP/1: hyper's bound on heads would also close idle connections.
    builder.http1().max_buf_size(limits.head_bytes);
    let header_list = u32::try_from(limits.head_bytes).unwrap_or(u32::MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.ping)
        .keep_alive_timeout(limits.head)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(header_list)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER);
    builder
}

/// What all connections of a server share.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) app: App,
    pub(super) builder: Arc<Builder<TokioExecutor>>,
    pub(super) limits: Arc<Limits>,
    pub(super) draining: Arc<AtomicBool>,
    pub(super) stage: watch::Receiver<Stage>,
}

impl Connections {
    /// Serves a connection in a task of its own, which holds `slot` until the connection is closed.
    pub(super) fn spawn<S>(&self, stream: S, slot: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connections = self.clone();
        tokio::spawn(async move {
            connections.serve(stream).await;
            drop(slot);
        });
    }

    async fn serve<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::default());
        let stream = Watched::new(stream, self.limits.clone(), activity.clone());
        let Self {
            app,
            builder,
            limits,
            draining,
            stage,
        } = self;
        let seen = activity.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answering = Answering::begin(&seen, request.version());
            let (app, draining) = (app.clone(), draining.load(Relaxed));
            async move {
                let answer = answer(&app, request.map(Body::new), draining).await;
                drop(answering);
                Ok::<_, Infallible>(answer)
            }
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut over = stage.clone();
        // Behind a waker of its own: it is looked at when it is due, not at each of the connection's many turns.
        let mut time_to_go: FuturesUnordered<_> = std::iter::once(async {
            tokio::select! {
                () = idle(&activity, limits.idle) => {}
                () = leaving(&activity, limits.notice, stage) => {}
            }
        })
        .collect();
        tokio::select! {
            biased;
            ended = connection.as_mut() => return log(ended),
            _ = time_to_go.next() => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            biased;
            ended = connection => log(ended),
            _ = over.wait_for(|stage| *stage == Stage::Over) => {}
        }
    }
}

async fn answer(app: &App, request: Request, draining: bool) -> Response {
    if !draining {
        return app.answer(request).await;
    }
    let version = request.version();
    let mut response = if request.uri().path() == "/health/ready" {
        Problem::new(Code::Unavailable).into_response()
    } else {
        app.answer(request).await
    };
    if version < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// Ends when no head has come for a whole `period` and nothing is being answered.
async fn idle(activity: &Activity, period: Duration) {
    let mut heads = None;
    loop {
        let now = activity.heads.load(Relaxed);
        if heads == Some(now) && activity.active.load(Relaxed) == 0 {
            return;
        }
        heads = Some(now);
        sleep(period).await;
    }
}

/// Ends when the connection should begin to close because the server stops.
///
/// HTTP/2 can say at any time which requests it still takes. HTTP/1 cannot: an idle connection is kept for a while,
/// so that a request that is on its way finds it open, and for longer while a head is half there.
async fn leaving(activity: &Activity, notice: Duration, mut stage: watch::Receiver<Stage>) {
    // An error means that the server is gone.
    let _ = stage.wait_for(|stage| *stage >= Stage::Leaving).await;
    if activity.http2.load(Relaxed) {
        return;
    }
    loop {
        sleep(notice).await;
        if !activity.half_head.load(Relaxed) {
            return;
        }
    }
}

/// Counts a request for as long as it is being answered.
struct Answering(Arc<Activity>);

impl Answering {
    fn begin(activity: &Arc<Activity>, version: Version) -> Self {
        if version == Version::HTTP_2 {
            activity.http2.store(true, Relaxed);
        }
        activity.active.fetch_add(1, Relaxed);
        activity.heads.fetch_add(1, Relaxed);
        activity.half_head.store(false, Relaxed);
        Self(activity.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Relaxed);
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Clients break connections all the time; that is no concern of an operator.
fn log(ended: Result<(), Error>) {
    if let Err(error) = ended {
        tracing::debug!(error, "a connection broke");
    }
}
