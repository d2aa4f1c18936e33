//! Servers: a router on a runtime of its own, bare or with all that Spike's functions are served with.

use anyhow::Context as _;
use axum::{Router, body::Body, response::Response};
use http::{HeaderMap, StatusCode};
use hyper::service::service_fn;
use hyper_util::{rt::TokioIo, server::conn::auto};
use tokio::{net::TcpListener, sync::oneshot};
use tower::ServiceExt as _;

/// A server; it ends when this is dropped.
pub(crate) struct Server {
    /// Where it is.
    pub(crate) base_url: String,
    _stop: oneshot::Sender<()>,
}

/// Serves `router` with nothing around it, as `axum::serve` would.
pub(crate) async fn bare(router: Router) -> anyhow::Result<Server> {
    serve("bare", async move |listener: TcpListener| {
        let app = router.with_state(());
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let app = app.clone();
            let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                app.clone().oneshot(request.map(Body::new))
            });
            let executor = hyper_util::rt::TokioExecutor::new();
            tokio::spawn(async move {
                let builder = auto::Builder::new(executor);
                let _ = builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
    .await
}

/// Serves `router` as a function's binary does.
pub(crate) async fn shipped(router: Router) -> anyhow::Result<Server> {
    serve("shipped", async move |listener: TcpListener| {
        let (app, limits) = (runtime::app(router), runtime::limit::Limits::default());
        let never = std::future::pending();
        let _ = runtime::server::serve_on(listener, app, limits, never).await;
    })
    .await
}

/// `name` is what its threads are called in a profile.
async fn serve<F>(
    name: &'static str,
    server: impl FnOnce(TcpListener) -> F + Send + 'static,
) -> anyhow::Result<Server>
where
    F: Future<Output = ()>,
{
    let (ready, address) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.thread_name(name).enable_all().build()?;
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let _ = ready.send(listener.local_addr()?);
            tokio::select! {
                () = server(listener) => {}
                // An error is the sender's end, which is the signal.
                _ = stopped => {}
            }
            std::io::Result::Ok(())
        })
    });
    let address = address.await.context("a server did not start")?;
    Ok(Server {
        base_url: format!("http://{address}"),
        _stop: stop,
    })
}

/// A router that gives every request the same answer.
pub(crate) fn always(status: StatusCode, headers: HeaderMap, body: bytes::Bytes) -> Router {
    let answer = move || {
        let (headers, body) = (headers.clone(), body.clone());
        async move {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            response
        }
    };
    Router::new().fallback(answer)
}
