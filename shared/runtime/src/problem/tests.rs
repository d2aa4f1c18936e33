use std::collections::HashSet;

use http_body_util::BodyExt as _;
use serde_json::json;

use super::*;

async fn document(problem: Problem) -> (axum::http::response::Parts, Value) {
    let (parts, body) = problem.into_response().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn a_plain_problem_says_what_the_registry_says() {
    let (parts, body) = document(Problem::new(Code::SoldOut)).await;
    assert_eq!(parts.status, 409);
    assert_eq!(parts.headers[header::CONTENT_TYPE], CONTENT_TYPE);
    assert_eq!(parts.headers[header::CACHE_CONTROL], "no-store");
    assert!(!parts.headers.contains_key(header::RETRY_AFTER));
    let expected = json!({
        "type": "/problems/sold-out", "title": "Sold out", "status": 409, "code": "sold-out",
        "detail": "No unit is left. Units of unpaid orders may come back.",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_problem_carries_what_was_added() {
    let problem = Problem::new(Code::NotEnough)
        .detail("Two are left.")
        .with("left", 2)
        .retry_after_secs(7)
        .location("/spikes/1/order");
    let (parts, body) = document(problem).await;
    assert_eq!(parts.headers[header::RETRY_AFTER], "7");
    assert_eq!(parts.headers[header::LOCATION], "/spikes/1/order");
    assert_eq!(body["left"], 2);
    assert_eq!(body["detail"], "Two are left.");
}

#[tokio::test]
async fn a_location_that_cannot_stand_in_a_header_is_left_out() {
    let problem = Problem::new(Code::SoldOut).location("/a\r\nset-cookie: b");
    let (parts, _) = document(problem).await;
    assert!(!parts.headers.contains_key(header::LOCATION));
}

#[tokio::test]
async fn every_code_has_a_document_with_the_headers_of_its_status() {
    for code in Code::all() {
        let (parts, body) = document(code.into()).await;
        assert_eq!(body["code"], code.code());
        assert_eq!(parts.status, code.status());
        assert_eq!(Code::find(code.code()), Some(code));
        let retries = matches!(parts.status.as_u16(), 425 | 429 | 503);
        assert_eq!(parts.headers.contains_key("retry-after"), retries);
        let names_scheme = parts.headers.contains_key("www-authenticate");
        assert_eq!(names_scheme, parts.status == 401);
        for header in ["Retry-After", "WWW-Authenticate"] {
            let listed = code.headers().contains(&header);
            assert!(listed || !parts.headers.contains_key(header), "{code:?}");
        }
        assert!(!code.advice().is_empty());
    }
}

#[test]
fn codes_are_unique_and_in_kebab_case() {
    let codes: HashSet<_> = Code::all().map(Code::code).collect();
    assert_eq!(codes.len(), Code::all().count());
    let kebab = |code: &&str| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    assert!(codes.iter().all(kebab));
}
