//! Serves a router by the Knative container contract.

use std::io;

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;

use crate::{app, env, limit::Limits};

/// Serves `router` on `PORT` (8080 if it is not set) until SIGTERM or SIGINT.
pub async fn serve(router: Router) -> anyhow::Result<()> {
    let port = u16::try_from(env::number("PORT", 8080, 0..=65535)?)?;
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    serve_on(listener, app(router), Limits::default(), async {
        tokio::signal::ctrl_c().await.ok();
    })
    .await?;
    Ok(())
}

/// Serves an app (what [`crate::app`] made) until `shutdown`.
pub async fn serve_on(
    listener: TcpListener,
    app: Router,
    _limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    tokio::pin!(shutdown);
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            () = &mut shutdown => return Ok(()),
        };
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            let io = TokioIo::new(stream);
            let _ = builder.serve_connection(io, service).await;
        });
    }
}
