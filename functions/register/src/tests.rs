use axum::{
    body::Body,
    http::{Request, StatusCode, header::HeaderMap},
};
use domain::{Timestamp, Username};
use http_body_util::BodyExt as _;
use runtime::Problem;
use serde_json::{Value, json};
use store::testing::Guard;
use tower::ServiceExt as _;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

async fn state() -> (AppState, Guard) {
    let (store, guard) = store::testing::store().await;
    (
        AppState {
            store,
            passwords: Passwords::new(2),
            clock: Arc::new(|| NOW),
        },
        guard,
    )
}

async fn post_users(app: &AppState, body: impl Into<Body>) -> (StatusCode, HeaderMap, Value) {
    let request = Request::post("/users")
        .header("content-type", "application/json")
        .body(body.into());
    let response = runtime::app(router(app.clone()))
        .oneshot(request.unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let body = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    (parts.status, parts.headers, body)
}

async fn register(
    app: &AppState,
    username: &str,
    password: &str,
) -> (StatusCode, HeaderMap, Value) {
    post_users(
        app,
        json!({"username": username, "password": password}).to_string(),
    )
    .await
}

fn assert_problem((status, headers, body): &(StatusCode, HeaderMap, Value), code: Code) {
    assert_eq!(
        (*status, body["code"].as_str()),
        (code.status(), Some(code.code())),
        "{body}"
    );
    assert_eq!(headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn an_account_is_opened_with_a_hash_and_without_rights() {
    let (app, _guard) = state().await;
    let document = serde_json::to_value(openapi()).unwrap();
    let example = &document["paths"]["/users"]["post"]["requestBody"]["content"]["application/json"]
        ["example"];
    let (status, headers, body) = post_users(&app, example.to_string()).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(body["username"], "ada");
    let user = app
        .store
        .user(body["user_id"].as_str().unwrap().parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(user.username.as_str(), "ada");
    assert_eq!(user.display_name.as_deref(), Some("Ada Lovelace"));
    assert!(user.roles.is_empty() && user.attributes.is_empty());
    assert_eq!((user.version, user.created_at), (1, NOW));
    let hash = user.password_hash.unwrap();
    assert!(Passwords::acceptable(&hash) && !hash.contains("difference"));
    assert_eq!(
        app.passwords.verify("difference engine", Some(&hash)).await,
        Ok(true)
    );
}

#[tokio::test]
async fn a_taken_name_is_refused_whatever_its_case() {
    let (app, _guard) = state().await;
    assert_eq!(
        register(&app, "ada", "difference engine").await.0,
        StatusCode::CREATED
    );
    assert_problem(
        &register(&app, "ADA", "analytical engine").await,
        Code::UsernameTaken,
    );
}

#[tokio::test]
async fn a_weak_password_is_refused_with_its_reason_before_it_is_hashed() {
    let (app, _guard) = state().await;
    let cases = [
        ("hunter2", "The password has fewer than 8 characters."),
        (
            "Password123",
            "The password is one of the most widely used.",
        ),
        ("Ada.Lovelace", "The password is the user name."),
        (
            &"x".repeat(129),
            "The password has more than 128 characters.",
        ),
    ];
    for (password, detail) in cases {
        let answer = register(&app, "ada.lovelace", password).await;
        assert_problem(&answer, Code::WeakPassword);
        assert_eq!(answer.2["detail"], detail);
    }
    assert_eq!(app.passwords.computed(), 0);
}

#[tokio::test]
async fn rights_and_nonsense_are_malformed_and_open_no_account() {
    let (app, _guard) = state().await;
    let bodies = [
        r#"{"username": "ada", "password": "difference engine", "roles": ["admin"]}"#,
        r#"{"username": "ada", "password": "difference engine", "attributes": {"age": 99}}"#,
        r#"{"username": "ada", "password": "difference engine", "password": "other engine"}"#,
        r#"{"username": "a' OR 1=1 --", "password": "difference engine"}"#,
        r#"{"username": "ada", "password": "difference engine", "display_name": "a\r\nb"}"#,
        r#"{"username": "ada", "password": "difference engine", "display_name": " "}"#,
        r#"{"username": "ada", "password": 12345678}"#,
        r#"{"username": "ada"}"#,
        "ada",
    ];
    for body in bodies {
        assert_problem(&post_users(&app, body).await, Code::Malformed);
    }
    assert_eq!(app.passwords.computed(), 0);
    let ada: Username = "ada".parse().unwrap();
    assert_eq!(app.store.users_by_name(&[ada]).await.unwrap(), [None]);
}

#[tokio::test]
async fn when_too_many_wait_to_be_hashed_the_next_is_told_to_come_back() {
    let (app, _guard) = state().await;
    let mut turns = Vec::new();
    while let Ok(turn) = app.passwords.turn() {
        turns.push(turn);
    }
    let answer = register(&app, "ada", "difference engine").await;
    assert_problem(&answer, Code::Busy);
    assert_eq!(answer.1["retry-after"], "1");
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let store = store::connect(&format!("dynamodb+http://{nobody}").parse().unwrap())
        .await
        .unwrap();
    let app = AppState {
        store,
        passwords: Passwords::new(1),
        clock: Arc::new(|| NOW),
    };
    let answer = register(&app, "ada", "difference engine").await;
    assert_problem(&answer, Code::Unavailable);
    assert_eq!(answer.1["retry-after"], "1");
}

#[test]
fn defects_are_internal_and_say_nothing() {
    for error in [
        Error::from(store::Error::Corrupt("item 7".into())),
        Error::from(auth::passwords::Error::Failed),
    ] {
        let problem = Problem::from(&error);
        assert_eq!(problem, Problem::new(Code::Internal));
    }
}
