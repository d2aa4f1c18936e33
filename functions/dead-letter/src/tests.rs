use std::sync::Arc;

use ::events::{
    conformance::event,
    envelope,
    testing::{Answer, Recorder},
};
use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use domain::{Role, Timestamp, UserId};
use http_body_util::BodyExt;
use runtime::testing::collector::Collector;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

type Headers = &'static [(&'static str, &'static str)];

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

struct Rig {
    public: runtime::App,
    private: runtime::App,
    sink: Arc<Recorder>,
    _store: Box<dyn Send + Sync>,
}

async fn rig() -> Rig {
    let (store, guard) = store::testing::store().await;
    let clock: Clock = Arc::new(|| NOW);
    let sink = Arc::new(Recorder::default());
    let private = runtime::app(events(Arc::clone(&store), Arc::clone(&clock)));
    let state = AppState {
        store,
        sink: sink.clone(),
        authenticator: auth::testing::authenticator(clock.clone()),
        clock,
    };
    Rig {
        public: runtime::app(router(state)),
        private,
        sink,
        _store: Box::new(guard),
    }
}

async fn call(router: &runtime::App, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        parts.status,
        parts.headers,
        serde_json::from_slice(&body).unwrap_or_default(),
    )
}

fn token(roles: &[Role]) -> String {
    let user = UserId::mint(NOW, [1; 10]);
    format!("Bearer {}", auth::testing::token_for(user, roles, NOW))
}

fn asked(method: Method, path: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header::AUTHORIZATION, token(&[Role::Admin]));
    request.body(Body::empty()).unwrap()
}

impl Rig {
    async fn keep(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> StatusCode {
        let mut request = Request::post("/events/dead-letter");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        call(&self.private, request.body(body.into()).unwrap())
            .await
            .0
    }

    async fn letters(&self) -> Vec<Value> {
        let (status, _, body) = call(&self.public, asked(Method::GET, "/admin/dead-letters")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["dead_letters"].as_array().unwrap().clone()
    }

    async fn redrive(&self, id: &str) -> (StatusCode, HeaderMap, Value) {
        let path = format!("/admin/dead-letters/{id}/redrive");
        call(&self.public, asked(Method::POST, &path)).await
    }
}

const STRUCTURED: (&str, &str) = ("content-type", envelope::CONTENT_TYPE);

#[tokio::test]
async fn fault_07_an_event_is_kept_once_listed_and_sent_again() {
    let rig = rig().await;
    let event = event(1);
    for reason in ["store away", "still away"] {
        let headers = [STRUCTURED, ("x-spike-reason", reason)];
        let status = rig.keep(&headers, envelope::write(&event)).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    let letters = rig.letters().await;
    assert_eq!(letters.len(), 1, "the same letter is kept once");
    assert_eq!(letters[0]["reason"], "store away");
    assert_eq!(letters[0]["redriven_at"], Value::Null);

    let id = letters[0]["id"].as_str().unwrap();
    let (status, _, body) = rig.redrive(id).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    assert_eq!(
        body,
        json!({"id": id, "order_id": event.order_id, "redriven_at": NOW})
    );
    assert_eq!(rig.sink.take(), std::slice::from_ref(&event));
    assert_eq!(rig.letters().await[0]["redriven_at"], json!(NOW));

    let headers = [STRUCTURED, ("x-spike-reason", "refused again")];
    rig.keep(&headers, envelope::write(&event)).await;
    let back = rig.letters().await;
    assert_eq!(back.len(), 1);
    assert_eq!(
        (&back[0]["reason"], &back[0]["redriven_at"]),
        (&json!("refused again"), &Value::Null),
        "it is undelivered again"
    );
}

#[tokio::test]
async fn a_binary_event_is_kept_so_that_it_can_be_sent_again() {
    let rig = rig().await;
    let event = event(2);
    let structured: Value = serde_json::from_slice(&envelope::write(&event)).unwrap();
    let text = |name: &str| structured[name].as_str().unwrap().to_owned();
    let (id, source) = (text("id"), text("source"));
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-type", envelope::TYPE),
        ("ce-id", &id),
        ("ce-subject", &id),
        ("ce-source", &source),
        ("ce-knativeerrorcode", "503"),
        ("ce-knativeerrordata", "away"),
    ];
    assert_eq!(
        rig.keep(&headers, structured["data"].to_string()).await,
        StatusCode::NO_CONTENT
    );
    let letters = rig.letters().await;
    assert_eq!(letters[0]["reason"], "503: away");
    let (status, ..) = rig.redrive(letters[0]["id"].as_str().unwrap()).await;
    assert_eq!(
        (status, rig.sink.take()),
        (StatusCode::ACCEPTED, vec![event])
    );
}

#[tokio::test]
async fn fault_07_garbage_is_kept_and_not_redrivable() {
    let rig = rig().await;
    let garbage: [(Headers, Vec<u8>); 4] = [
        (&[], b"\xff\xfe{".to_vec()),
        (&[STRUCTURED], b"{\"knativeerrorcode\": 400}".to_vec()),
        (
            &[("ce-id", "x"), ("content-type", "text/plain")],
            b"hello".to_vec(),
        ),
        (&[STRUCTURED], vec![b'x'; 300_000]),
    ];
    for (headers, body) in garbage {
        assert_eq!(rig.keep(headers, body).await, StatusCode::NO_CONTENT);
    }
    let letters = rig.letters().await;
    assert_eq!(letters.len(), 4);
    let giant = letters
        .iter()
        .find(|letter| letter["body_bytes"] == 256 * 1024)
        .unwrap();
    assert_eq!(giant["body"].as_str().unwrap().len(), 4096);
    assert!(
        letters
            .iter()
            .any(|letter| letter["body"] == "ce-id: x\n\nhello")
    );
    assert!(letters.iter().any(|letter| letter["reason"] == "400"));
    for letter in letters {
        let (status, headers, body) = rig.redrive(letter["id"].as_str().unwrap()).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::CONFLICT, &json!("not-redrivable"))
        );
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    }
    assert_eq!(rig.sink.take(), []);
}

#[tokio::test]
async fn more_than_a_mebibyte_is_refused() {
    let status = rig()
        .await
        .keep(&[STRUCTURED], vec![b'x'; 1024 * 1024 + 1])
        .await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_letter_that_the_broker_refuses_stays() {
    let rig = rig().await;
    rig.keep(&[STRUCTURED], envelope::write(&event(3))).await;
    let id = rig.letters().await[0]["id"].as_str().unwrap().to_owned();
    for answer in [Answer::Refuse, Answer::LoseEvent] {
        rig.sink.answer(answer);
        let (status, headers, body) = rig.redrive(&id).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable"))
        );
        assert!(headers.contains_key(header::RETRY_AFTER));
    }
    assert_eq!(rig.letters().await[0]["redriven_at"], Value::Null);
}

#[tokio::test]
async fn unknown_letters_and_cursors_are_told() {
    let rig = rig().await;
    let (status, _, body) = rig.redrive("nothing").await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::NOT_FOUND, &json!("no-dead-letter"))
    );
    let request = asked(Method::GET, "/admin/dead-letters?cursor=%00");
    let (status, _, body) = call(&rig.public, request).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::BAD_REQUEST, &json!("malformed"))
    );
}

#[tokio::test]
async fn fault_30_only_admins_see_and_send() {
    let rig = rig().await;
    for (method, path) in [
        (Method::GET, "/admin/dead-letters"),
        (Method::POST, "/admin/dead-letters/x/redrive"),
    ] {
        let request = || Request::builder().method(method.clone()).uri(path);
        let nobody = request().body(Body::empty()).unwrap();
        assert_eq!(call(&rig.public, nobody).await.0, StatusCode::UNAUTHORIZED);
        let user = request().header(header::AUTHORIZATION, token(&[]));
        let user = user.body(Body::empty()).unwrap();
        assert_eq!(call(&rig.public, user).await.0, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn the_event_route_is_not_public() {
    let request = Request::post("/events/dead-letter")
        .body(Body::empty())
        .unwrap();
    assert_eq!(
        call(&rig().await.public, request).await.0,
        StatusCode::NOT_FOUND
    );
}

#[test]
fn the_document_has_both_operations() {
    let document = serde_json::to_value(openapi()).unwrap();
    for pointer in [
        "/paths/~1admin~1dead-letters/get",
        "/paths/~1admin~1dead-letters~1{id}~1redrive/post",
    ] {
        let operation = document.pointer(pointer).unwrap();
        for status in ["401", "403", "503"] {
            assert!(
                operation["responses"][status].is_object(),
                "{pointer} {status}"
            );
        }
    }
}

#[test]
fn a_letter_counts_when_it_comes_and_when_it_comes_back() {
    let mut kept = store::DeadLetter {
        id: "1".to_owned(),
        body: String::new(),
        reason: String::new(),
        received_at: NOW,
        redriven_at: None,
    };
    assert!(keep::is_new(None));
    assert!(!keep::is_new(Some(&kept)), "delivered twice");
    kept.redriven_at = Some(NOW);
    assert!(keep::is_new(Some(&kept)), "sent again, and back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_counted() {
    let collector = Collector::start();
    let rig = rig().await;
    let kept = collector.watching(rig.keep(&[], "no event")).await;
    assert_eq!(kept, StatusCode::NO_CONTENT);
    // Other tests of this process may count at the same time.
    assert!(collector.sum("spike.dead_letters", &[("content", "unreadable")]) >= 1.0);
}
