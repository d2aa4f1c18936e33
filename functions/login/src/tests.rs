use std::sync::atomic::{AtomicI64, Ordering};

use auth::{Caller, testing};
use axum::{
    body::Body,
    http::{Request, StatusCode, header::HeaderMap},
};
use domain::{Role, Timestamp, User, UserId};
use http_body_util::BodyExt as _;
use runtime::Problem;
use serde_json::{Value, json};
use store::testing::Guard;
use tower::ServiceExt as _;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const PASSWORD: &str = "difference engine";

/// The function, the hands of its clock, and the account `ada`.
struct Fixture {
    app: AppState,
    ms: Arc<AtomicI64>,
    ada: UserId,
    _guard: Guard,
}

type Answer = (StatusCode, HeaderMap, Value);

async fn fixture() -> Fixture {
    let (store, guard) = store::testing::store().await;
    let ms = Arc::new(AtomicI64::new(NOW.as_millis()));
    let hands = Arc::clone(&ms);
    let clock: Clock = Arc::new(move || Timestamp::from_millis(hands.load(Ordering::SeqCst)));
    let passwords = Passwords::new(2);
    let signing_key = Arc::new(testing::new_key());
    let user = User {
        id: UserId::mint(NOW, [1; 10]),
        username: "ada".parse().unwrap(),
        password_hash: Some(passwords.hash(PASSWORD).await.unwrap()),
        credentials_version: 7,
        display_name: None,
        attributes: serde_json::Map::new(),
        roles: vec![Role::Admin],
        version: 1,
        created_at: NOW,
    };
    let imported = User {
        id: UserId::mint(NOW, [2; 10]),
        username: "without.password".parse().unwrap(),
        password_hash: None,
        ..user.clone()
    };
    assert_eq!(
        store.add_users(&[user.clone(), imported]).await.unwrap(),
        [true, true]
    );
    Fixture {
        app: AppState {
            store,
            passwords,
            signing_key,
            clock,
        },
        ms,
        ada: user.id,
        _guard: guard,
    }
}

async fn post_login(app: &AppState, body: impl Into<Body>) -> Answer {
    let request = Request::post("/users/login")
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

async fn login(app: &AppState, username: &str, password: &str) -> Answer {
    post_login(
        app,
        json!({"username": username, "password": password}).to_string(),
    )
    .await
}

fn assert_problem((status, headers, body): &Answer, code: Code) {
    assert_eq!(
        (*status, body["code"].as_str()),
        (code.status(), Some(code.code())),
        "{body}"
    );
    assert_eq!(headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn the_right_password_gets_tokens_that_say_who_and_what_the_user_is() {
    let Fixture {
        app, ada, _guard, ..
    } = fixture().await;
    let document = serde_json::to_value(openapi()).unwrap();
    let content =
        &document["paths"]["/users/login"]["post"]["requestBody"]["content"]["application/json"];
    let (status, headers, body) = post_login(&app, content["example"].to_string()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["cache-control"], "no-store");
    let grant: auth::Grant = serde_json::from_value(body).unwrap();
    assert_eq!(
        (grant.token_type.as_str(), grant.expires_in_secs),
        ("Bearer", 900)
    );
    let keys = auth::KeySet {
        keys: vec![app.signing_key.jwk()],
    };
    let verifier = auth::Verifier::new(&keys, testing::ISSUER, Arc::clone(&app.clock)).unwrap();
    let caller = verifier.verify(&grant.access_token).unwrap();
    assert_eq!(
        *caller,
        Caller {
            user_id: ada,
            roles: vec![Role::Admin]
        }
    );
    let hash = auth::refresh_token::hash(&grant.refresh_token).unwrap();
    let session = app.store.session(&hash, NOW).await.unwrap().unwrap();
    assert_eq!(
        (
            session.user_id,
            session.credentials_version,
            session.expires_at
        ),
        (ada, 7, NOW + auth::refresh_token::LIFETIME)
    );
}

#[tokio::test]
async fn fault_32_unknown_names_and_wrong_passwords_get_the_same_answer_for_the_same_work() {
    let Fixture { app, _guard, .. } = fixture().await;
    let mut answers = Vec::new();
    for (username, password) in [
        ("ada", "wrong engine"),
        ("nobody", PASSWORD),
        ("without.password", PASSWORD),
    ] {
        let before = app.passwords.computed();
        let answer = login(&app, username, password).await;
        assert_problem(&answer, Code::BadCredentials);
        assert_eq!(app.passwords.computed() - before, 1, "{username}");
        let attempts = app
            .store
            .login_attempts(&username.parse().unwrap(), NOW)
            .await
            .unwrap();
        assert_eq!(attempts.failures, 1, "{username}");
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[tokio::test]
async fn fault_32_guessing_gets_slower_for_known_and_unknown_names_alike() {
    let Fixture {
        app, ms, _guard, ..
    } = fixture().await;
    for username in ["ada", "nobody"] {
        for _ in 0..5 {
            assert_problem(
                &login(&app, username, "wrong engine").await,
                Code::BadCredentials,
            );
        }
        for secs in [1, 2, 4] {
            let computed = app.passwords.computed();
            // Even the right password waits; else an answer would tell that it is right.
            let answer = login(&app, username, PASSWORD).await;
            assert_problem(&answer, Code::SlowDown);
            assert_eq!(answer.1["retry-after"], secs.to_string());
            assert_eq!(app.passwords.computed(), computed, "refused without work");
            ms.fetch_add(secs * 1000, Ordering::SeqCst);
            assert_problem(
                &login(&app, username, "wrong engine").await,
                Code::BadCredentials,
            );
        }
    }
}

#[tokio::test]
async fn fault_32_a_success_clears_the_failures() {
    let Fixture {
        app, ms, _guard, ..
    } = fixture().await;
    for _ in 0..6 {
        login(&app, "ada", "wrong engine").await;
    }
    ms.fetch_add(1000, Ordering::SeqCst);
    assert_eq!(login(&app, "Ada", PASSWORD).await.0, StatusCode::OK);
    let attempts = app
        .store
        .login_attempts(&"ada".parse().unwrap(), NOW)
        .await
        .unwrap();
    assert_eq!(attempts.failures, 0);
    assert_problem(
        &login(&app, "ada", "wrong engine").await,
        Code::BadCredentials,
    );
}

#[tokio::test]
async fn fault_32_guesses_that_are_sent_at_once_are_not_all_compared_and_lock_nobody_out() {
    let Fixture {
        app, ms, _guard, ..
    } = fixture().await;
    let before = app.passwords.computed();
    let guesses: Vec<_> = (0..30)
        .map(|n| (app.clone(), format!("wrong engine {n}")))
        .collect();
    let tasks = guesses
        .into_iter()
        .map(|(app, guess)| tokio::spawn(async move { login(&app, "ada", &guess).await.0 }));
    for task in tasks.collect::<Vec<_>>() {
        let status = task.await.unwrap();
        assert!(
            matches!(
                status,
                StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS
            ),
            "{status}"
        );
    }
    let compared = app.passwords.computed() - before;
    assert!((1..=5).contains(&compared), "{compared} compared");
    let name = "ada".parse().unwrap();
    let attempts = app.store.login_attempts(&name, NOW).await.unwrap();
    let failures = attempts.failures;
    assert_eq!(
        u64::from(failures),
        compared,
        "only what was compared counts"
    );
    // The owner waits a second, not a quarter of an hour.
    if failures >= 5 {
        assert_eq!(login(&app, "ada", PASSWORD).await.1["retry-after"], "1");
    }
    ms.fetch_add(1000, Ordering::SeqCst);
    assert_eq!(login(&app, "ada", PASSWORD).await.0, StatusCode::OK);
}

#[tokio::test]
async fn nonsense_is_malformed_and_is_not_compared() {
    let Fixture { app, _guard, .. } = fixture().await;
    let before = app.passwords.computed();
    let bodies = [
        r#"{"username": "ada", "password": "difference engine", "remember": true}"#,
        r#"{"username": "' OR 1=1 --", "password": "difference engine"}"#,
        r#"{"username": {"$ne": null}, "password": "difference engine"}"#,
        r#"{"username": "ada"}"#,
        "",
    ];
    for body in bodies {
        assert_problem(&post_login(&app, body).await, Code::Malformed);
    }
    assert_eq!(app.passwords.computed(), before);
}

#[tokio::test]
async fn when_too_many_wait_the_next_is_told_to_come_back_and_no_failure_is_counted() {
    let Fixture { app, _guard, .. } = fixture().await;
    let mut turns = Vec::new();
    while let Ok(turn) = app.passwords.turn() {
        turns.push(turn);
    }
    let answer = login(&app, "ada", PASSWORD).await;
    assert_problem(&answer, Code::Busy);
    assert_eq!(answer.1["retry-after"], "1");
    let attempts = app
        .store
        .login_attempts(&"ada".parse().unwrap(), NOW)
        .await
        .unwrap();
    assert_eq!(attempts.failures, 0);
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
    let signing_key = Arc::new(testing::new_key());
    let app = AppState {
        store,
        passwords: Passwords::new(1),
        signing_key,
        clock: Arc::new(|| NOW),
    };
    let answer = login(&app, "ada", PASSWORD).await;
    assert_problem(&answer, Code::Unavailable);
    assert_eq!(answer.1["retry-after"], "1");
}

#[test]
fn defects_are_internal_and_say_nothing() {
    let defects = [
        Error::from(store::Error::Corrupt("item 7".into())),
        Error::from(auth::passwords::Error::Failed),
        Error::from(auth::KeyError::Library),
    ];
    for error in defects {
        assert_eq!(Problem::from(&error), Problem::new(Code::Internal));
    }
}
