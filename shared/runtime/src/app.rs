//! The edge around a function's router: what every answer has in common.
//!
//! Unknown addresses and methods, panics, and bodies that are too large or too slow become problem documents;
//! `GET /health/live` and `GET /health/ready` answer; header fields that browsers and caches need are filled in.

use std::{
    any::Any,
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, Version, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::{FutureExt as _, future::BoxFuture};
use tower::Service;
use tracing::Instrument as _;

use crate::{
    limit::{self, Limits},
    problem::{Code, Problem},
    telemetry::{self, trace},
};

/// A router with the edge around it.
///
/// A service of its own and not a layer of the router's: a layer is called through a box for every route, and a sold-out
/// sale answers so many requests that this shows.
#[derive(Clone)]
pub struct App {
    router: Router,
    limits: Arc<Limits>,
}

/// The router with the edge around it, within the limits that are shipped.
#[must_use]
pub fn app(router: Router) -> App {
    app_with(router, Limits::default())
}

/// As [`app()`], within other limits (only those on bodies are the edge's).
pub fn app_with(router: Router, limits: Limits) -> App {
    let router = router
        .route("/health/live", get(well))
        .route("/health/ready", get(well))
        .fallback(async || Problem::new(Code::NotFound))
        .method_not_allowed_fallback(async || Problem::new(Code::MethodNotAllowed));
    App {
        // Resolves the handlers' state once instead of on each request.
        router: router.with_state(()),
        limits: Arc::new(limits),
    }
}

impl App {
    /// Answers one request.
    pub async fn answer(&self, request: Request) -> Response {
        if telemetry::traces() {
            return Box::pin(self.traced(request)).await;
        }
        self.untraced(request).await
    }

    /// As [`App::answer`], in a span.
    pub(crate) async fn traced(&self, request: Request) -> Response {
        let span = trace::request(&request, telemetry::trusts_edge());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.untraced(request).instrument(span.clone()).await;
        trace::answered(&span, &method, &path, response.status());
        response
    }

    async fn untraced(&self, request: Request) -> Response {
        let version = request.version();
        let answer = self
            .router
            .clone()
            .call(limit::bound(&self.limits, request));
        // A handler owns what it touches: shared state is behind locks that do not poison its users.
        finish(version, AssertUnwindSafe(answer).catch_unwind().await)
    }
}

impl Service<Request> for App {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let app = self.clone();
        Box::pin(async move { Ok(app.answer(request).await) })
    }
}

/// A problem as the edge answers it, where a request does not get as far as its router.
#[cfg(feature = "aws")]
pub(crate) fn finished(problem: Problem) -> Response {
    finish(Version::HTTP_2, Ok(Ok(problem.into_response())))
}

async fn well() -> &'static str {
    "ok"
}

type Answer = Result<Result<Response, Infallible>, Box<dyn Any + Send>>;

fn finish(version: Version, answer: Answer) -> Response {
    let mut response = match answer {
        Ok(Ok(response)) => response,
        // The panic itself was logged by the hook.
        Err(_) => Problem::new(Code::Internal).into_response(),
    };
    let closes = matches!(
        response.status(),
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT
    );
    let headers = response.headers_mut();
    headers
        .entry(header::X_CONTENT_TYPE_OPTIONS)
        .or_insert(HeaderValue::from_static("nosniff"));
    // What does not say that it may be kept is somebody's own.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    // HTTP/2 has no such field: there the stream is reset, and the connection serves others.
    if closes && version < Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests;
