//! Extractors whose rejections are problem documents and never quote what came.

mod if_match;
mod json;

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

pub use if_match::{IfMatch, etag};
pub use json::{Json, OptionalJson, parse};

use crate::{
    limit,
    problem::{Code, Problem},
};

/// The parameters of the path. What does not parse is 400 `malformed`.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[expect(clippy::disallowed_types, reason = "this is what replaces it")]
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        let wrong = "A parameter in the path is not of its form.";
        path.map(|path| Self(path.0))
            .map_err(|_| Problem::new(Code::Malformed).detail(wrong))
    }
}

/// The parameters of the query. What is missing, unknown, doubled or does not parse is 400 `malformed`.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[expect(clippy::disallowed_types, reason = "this is what replaces it")]
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        let wrong = "A parameter in the query is missing, unknown, doubled or not of its form.";
        query
            .map(|query| Self(query.0))
            .map_err(|_| Problem::new(Code::Malformed).detail(wrong))
    }
}

/// The whole body as it came: 413 `too-large`, 408 `body-timeout`, 400 `malformed` if it breaks off.
#[derive(Debug, Clone)]
pub struct Bytes(pub bytes::Bytes);

impl<S: Send + Sync> FromRequest<S> for Bytes {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(request).await.map(Self)
    }
}

async fn read(request: Request) -> Result<bytes::Bytes, Problem> {
    let body = request.into_body().collect().await;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(limit::problem)
}

#[cfg(test)]
mod tests;
