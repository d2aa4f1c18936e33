//! `web`: the buyers' page, its assets, the API's description, and a page for each problem code.
//!
//! Routes: `GET /`, `GET /assets/{*path}`, `GET /openapi.json`, `GET /problems`, `GET /problems/{code}`.
//! Environment: `PORT` only. Statuses: 200, 304 (for an `If-None-Match` that still holds), 404 `not-found`.
//!
//! Everything is static and built in, so each file has an `ETag` and the function has no state. Pages may run and
//! load nothing but what is served here (Content-Security-Policy), and hold no inline script or style.

mod file;
mod problems;

use std::sync::LazyLock;

use axum::{Router, http::HeaderMap, response::Response, routing::get};
use runtime::{Code, Problem, extract::Path};
use utoipa::OpenApi;

use file::{File, Kind};

static INDEX: LazyLock<File> =
    LazyLock::new(|| File::new(Kind::Html, include_bytes!("../assets/index.html")));

static OPENAPI: LazyLock<File> =
    LazyLock::new(|| File::new(Kind::Json, include_bytes!("../assets/openapi.json")));

/// What `/assets/` holds, by name.
static ASSETS: LazyLock<[(&str, File); 6]> = LazyLock::new(|| {
    let script = |bytes| File::new(Kind::Script, bytes);
    let icon = File::new(Kind::Svg, include_bytes!("../assets/icon.svg"));
    let style = File::new(Kind::Style, include_bytes!("../assets/style.css"));
    [
        ("api.js", script(include_bytes!("../assets/api.js"))),
        ("icon.svg", icon),
        ("session.js", script(include_bytes!("../assets/session.js"))),
        ("spike.js", script(include_bytes!("../assets/spike.js"))),
        ("style.css", style),
        ("view.js", script(include_bytes!("../assets/view.js"))),
    ]
});

/// The routes. There is no state: everything is built in.
pub fn router() -> Router {
    Router::new()
        .route("/", get(index))
        .route("/assets/{*path}", get(asset))
        .route("/openapi.json", get(openapi_json))
        .route("/problems", get(problem_list))
        .route("/problems/{code}", get(problem))
}

#[derive(OpenApi)]
#[openapi(paths(index, asset, openapi_json, problem_list, problem))]
struct Api;

/// What this function's operations take and answer.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let not_found: &[Code] = &[Code::NotFound];
    runtime::openapi::describe(
        Api::openapi(),
        &[
            ("get", "/assets/{path}", not_found),
            ("get", "/problems/{code}", not_found),
        ],
    )
}

/// The buyers' page.
///
/// Lists the spikes, registers and logs in, buys, pays and cancels, all through this API.
#[utoipa::path(
    get,
    path = "/",
    tag = "web",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of what the client has.")),
    responses(
        (status = 200, description = "The page.", content_type = "text/html; charset=utf-8", body = String,
            headers(("ETag" = String, description = "Its version."), ("Cache-Control" = String, description = "`public, max-age=60`"))),
        (status = 304, description = "What the client has is still it.",
            headers(("ETag" = String, description = "Its version."), ("Cache-Control" = String, description = "`public, max-age=60`"))),
    ),
)]
async fn index(headers: HeaderMap) -> Response {
    INDEX.answer(&headers)
}

/// A file that the pages need.
#[utoipa::path(
    get,
    path = "/assets/{path}",
    tag = "web",
    params(
        ("path" = String, Path, description = "The file's name.", example = "style.css"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of what the client has."),
    ),
    responses(
        (status = 200, description = "The file.", content(
            (String = "text/css; charset=utf-8"),
            (String = "text/javascript; charset=utf-8"),
            (String = "image/svg+xml"),
        ), headers(("ETag" = String, description = "Its version."), ("Cache-Control" = String, description = "`public, max-age=60`"))),
        (status = 304, description = "What the client has is still it.",
            headers(("ETag" = String, description = "Its version."), ("Cache-Control" = String, description = "`public, max-age=60`"))),
    ),
)]
async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|(name, _)| *name == path);
    let (_, file) = found.ok_or(Code::NotFound)?;
    Ok(file.answer(&headers))
}

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "web",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of what the client has.")),
    responses(
        (status = 200, description = "An `OpenAPI` document.", content_type = "application/json", body = Object,
            headers(("ETag" = String, description = "Its version."), ("Cache-Control" = String, description = "`public, max-age=60`"))),
        (status = 304, description = "What the client has is still it.",
            headers(("ETag" = String, description = "Its version."), ("Cache-Control" = String, description = "`public, max-age=60`"))),
    ),
)]
async fn openapi_json(headers: HeaderMap) -> Response {
    OPENAPI.answer(&headers)
}

/// All problem codes.
#[utoipa::path(
    get,
    path = "/problems",
    tag = "web",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of what the client has.")),
    responses(
        (status = 200, description = "The list.", content_type = "text/html; charset=utf-8", body = String,
            headers(("ETag" = String, description = "Its version."), ("Cache-Control" = String, description = "`public, max-age=60`"))),
        (status = 304, description = "What the client has is still it.",
            headers(("ETag" = String, description = "Its version."), ("Cache-Control" = String, description = "`public, max-age=60`"))),
    ),
)]
async fn problem_list(headers: HeaderMap) -> Response {
    problems::list().answer(&headers)
}

/// What a problem code means and what to do about it: the page that a problem's `type` names.
#[utoipa::path(
    get,
    path = "/problems/{code}",
    tag = "web",
    params(
        ("code" = String, Path, description = "The code.", example = "sold-out"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of what the client has."),
    ),
    responses(
        (status = 200, description = "The page.", content_type = "text/html; charset=utf-8", body = String,
            headers(("ETag" = String, description = "Its version."), ("Cache-Control" = String, description = "`public, max-age=60`"))),
        (status = 304, description = "What the client has is still it.",
            headers(("ETag" = String, description = "Its version."), ("Cache-Control" = String, description = "`public, max-age=60`"))),
    ),
)]
async fn problem(Path(code): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let code = Code::find(&code).ok_or(Code::NotFound)?;
    Ok(problems::page(code).answer(&headers))
}

#[cfg(test)]
mod tests;
