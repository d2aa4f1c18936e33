use axum::{body::Body, http::response::Parts, routing::post};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;

fn router() -> Router {
    Router::new()
        .route("/things", get(async || "things").post(async || "made"))
        .route("/private", get(async || "mine"))
        .route(
            "/kept",
            get(async || ([("cache-control", "max-age=1")], "kept")),
        )
        .route("/bug", get(bug))
        .route("/large", post(length).layer(limit::body(1024 * 1024)))
}

async fn bug() -> &'static str {
    panic!("hunter2")
}

async fn length(body: crate::extract::Bytes) -> String {
    body.0.len().to_string()
}

async fn send(request: Request) -> (Parts, String) {
    let (parts, body) = app(router()).oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts, String::from_utf8(body.to_vec()).unwrap())
}

async fn call(method: &str, path: &str) -> (Parts, String) {
    let request = Request::builder().method(method).uri(path);
    send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn an_unknown_address_is_a_problem() {
    let (parts, body) = call("GET", "/hunter2").await;
    assert_eq!(parts.status, 404);
    assert_eq!(parts.headers["content-type"], "application/problem+json");
    assert!(body.contains(r#""code":"not-found""#) && !body.contains("hunter2"));
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_names_the_right_ones() {
    let (parts, body) = call("DELETE", "/things").await;
    assert_eq!(parts.status, 405);
    assert!(body.contains(r#""code":"method-not-allowed""#));
    let allowed = parts.headers["allow"].to_str().unwrap();
    assert!(
        allowed.contains("GET") && allowed.contains("POST"),
        "{allowed}"
    );
}

#[tokio::test]
async fn a_panic_is_a_500_that_says_nothing() {
    let (parts, body) = call("GET", "/bug").await;
    assert_eq!(parts.status, 500);
    assert!(body.contains(r#""code":"internal""#) && !body.contains("hunter2"));
}

#[tokio::test]
async fn health_is_answered() {
    for path in ["/health/live", "/health/ready"] {
        let (parts, body) = call("GET", path).await;
        assert_eq!((parts.status.as_u16(), body.as_str()), (200, "ok"));
    }
}

#[tokio::test]
async fn answers_are_not_kept_unless_they_say_so_and_never_sniffed() {
    let (mine, _) = call("GET", "/private").await;
    assert_eq!(mine.headers["cache-control"], "no-store");
    assert_eq!(mine.headers["x-content-type-options"], "nosniff");
    let (kept, _) = call("GET", "/kept").await;
    assert_eq!(kept.headers["cache-control"], "max-age=1");
}

#[tokio::test]
async fn a_route_may_take_larger_bodies() {
    let send_bytes = async |bytes: usize| {
        let request = Request::post("/large").body(Body::from(vec![b'x'; bytes]));
        send(request.unwrap()).await
    };
    assert_eq!(send_bytes(1024 * 1024).await.1, "1048576");
    let (parts, _) = send_bytes(1024 * 1024 + 1).await;
    assert_eq!(parts.status, 413);
    assert_eq!(parts.headers["connection"], "close");
}
