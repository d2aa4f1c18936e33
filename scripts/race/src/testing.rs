//! A server for tests.

use axum::Router;

/// Serves `router` on a free port and answers with its address.
pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let app = runtime::app(router);
    let limits = runtime::limit::Limits::default();
    let never = std::future::pending();
    tokio::spawn(runtime::server::serve_on(listener, app, limits, never));
    base_url
}
