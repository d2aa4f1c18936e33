//! The edge around a function's router: what every answer has in common.
//!
//! Unknown addresses and methods, panics, and bodies that are too large or too slow become problem documents;
//! `GET /health/live` and `GET /health/ready` answer; header fields that browsers and caches need are filled in.

use std::{any::Any, convert::Infallible, panic::AssertUnwindSafe, sync::Arc};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, Version, header},
    response::{IntoResponse, Response},
    routing::{Route, get},
};
use futures::FutureExt as _;
use tower::{Service as _, layer::layer_fn, service_fn};

use crate::{
    limit::{self, Limits},
    problem::{Code, Problem},
};

/// The router with the edge around it, within the limits that are shipped.
pub fn app(router: Router) -> Router {
    app_with(router, Limits::default())
}

/// As [`app()`], within other limits (only those on bodies are the edge's).
pub fn app_with(router: Router, limits: Limits) -> Router {
    let limits = Arc::new(limits);
    router
        .route("/health/live", get(well))
        .route("/health/ready", get(well))
        .fallback(async || Problem::new(Code::NotFound))
        .method_not_allowed_fallback(async || Problem::new(Code::MethodNotAllowed))
        .layer(layer_fn(move |mut inner: Route| {
            let limits = limits.clone();
            service_fn(move |request: Request| {
                let version = request.version();
                let answer = inner.call(limit::bound(&limits, request));
                // A handler owns what it touches: shared state is behind locks that do not poison its users.
                let answer = AssertUnwindSafe(answer).catch_unwind();
                async move { Ok::<_, Infallible>(finish(version, answer.await)) }
            })
        }))
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
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
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
