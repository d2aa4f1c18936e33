use std::sync::atomic::{AtomicBool, Ordering};

use axum::{Router, body::Body, routing::post};
use domain::{Timestamp, UserId};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::testing;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn ada() -> UserId {
    UserId::mint(NOW, [1; 10])
}

/// A router with a route for users, one for admins and one for everybody, as the functions build theirs.
fn app() -> Router {
    let router = Router::new()
        .route(
            "/user",
            post(|user: User, body: String| async move { format!("{} {body}", user.0.user_id) }),
        )
        .route(
            "/admin",
            post(|admin: Admin, body: String| async move { format!("{} {body}", admin.0.user_id) }),
        );
    router.with_state(testing::authenticator(Arc::new(|| NOW)))
}

async fn post_to(path: &str, authorization: Option<&str>, body: Body) -> (Response<()>, String) {
    let mut request = Request::post(path).body(body).unwrap();
    if let Some(value) = authorization {
        request
            .headers_mut()
            .insert("authorization", HeaderValue::from_str(value).unwrap());
    }
    let (parts, body) = app().oneshot(request).await.unwrap().into_parts();
    let text = body.collect().await.unwrap().to_bytes();
    (
        Response::from_parts(parts, ()),
        String::from_utf8(text.to_vec()).unwrap(),
    )
}

#[tokio::test]
async fn a_user_is_let_in_and_an_admin_is_a_user() {
    for roles in [&[][..], &[Role::Admin]] {
        let token = testing::token_for(ada(), roles, NOW);
        let (response, text) = post_to(
            "/user",
            Some(&format!("Bearer {token}")),
            Body::from("hello"),
        )
        .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text, format!("{} hello", ada()));
    }
}

#[tokio::test]
async fn fault_30_an_admin_route_refuses_before_it_reads_the_body() {
    let forged = testing::forgeries(ada(), NOW)
        .into_iter()
        .find(|(name, _)| *name == "forged role")
        .unwrap()
        .1;
    let cases = [
        (None, StatusCode::UNAUTHORIZED),
        (Some(forged), StatusCode::UNAUTHORIZED),
        (
            Some(testing::token_for(ada(), &[], NOW)),
            StatusCode::FORBIDDEN,
        ),
        (
            Some(testing::token_for(ada(), &[Role::Admin], NOW)),
            StatusCode::OK,
        ),
    ];
    for (token, status) in cases {
        let read = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&read);
        let body = Body::from_stream(futures::stream::once(async move {
            seen.store(true, Ordering::SeqCst);
            Ok::<_, std::convert::Infallible>("hello")
        }));
        let authorization = token.map(|token| format!("Bearer {token}"));
        let (response, _) = post_to("/admin", authorization.as_deref(), body).await;
        assert_eq!(response.status(), status);
        assert_eq!(read.load(Ordering::SeqCst), status == StatusCode::OK);
    }
}

#[tokio::test]
async fn fault_25_every_forgery_gets_the_same_401() {
    let (_, expected) = post_to("/user", None, Body::empty()).await;
    assert!(expected.contains("\"code\":\"unauthorized\""));
    for (name, token) in testing::forgeries(ada(), NOW) {
        let (response, text) =
            post_to("/user", Some(&format!("Bearer {token}")), Body::empty()).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{name}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer", "{name}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json",
            "{name}"
        );
        assert_eq!(text, expected, "{name}");
    }
}

#[test]
fn only_one_bearer_header_is_a_token() {
    let mut headers = HeaderMap::new();
    assert_eq!(bearer(&headers), None);
    for (value, token) in [
        ("Bearer abc", Some("abc")),
        ("bEARER  abc ", Some("abc")),
        ("Basic abc", None),
        ("Bearer", None),
    ] {
        headers.insert("authorization", HeaderValue::from_str(value).unwrap());
        assert_eq!(bearer(&headers), token, "{value}");
    }
    headers.insert("authorization", HeaderValue::from_static("Bearer abc"));
    headers.append("authorization", HeaderValue::from_static("Bearer def"));
    assert_eq!(bearer(&headers), None);
    headers.insert(
        "authorization",
        HeaderValue::from_bytes(b"Bearer \xff").unwrap(),
    );
    assert_eq!(bearer(&headers), None);
}
