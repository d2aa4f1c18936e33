use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use auth::{Caller, Grant, refresh_token, testing};
use axum::{
    body::Body,
    http::{Request, StatusCode, header::HeaderMap},
};
use domain::{Role, Timestamp, User, UserId};
use http_body_util::BodyExt as _;
use runtime::{Problem, testing::Lines};
use serde_json::{Value, json};
use store::{Session, testing::Guard};
use tower::ServiceExt as _;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The function, the hands of its clock, the account `ada` and the refresh token of her login.
struct Fixture {
    app: AppState,
    ms: Arc<AtomicI64>,
    ada: User,
    token: String,
    _guard: Guard,
}

type Answer = (StatusCode, HeaderMap, Value);

async fn fixture() -> Fixture {
    let (store, guard) = store::testing::store().await;
    let ms = Arc::new(AtomicI64::new(NOW.as_millis()));
    let hands = Arc::clone(&ms);
    let clock: Clock = Arc::new(move || Timestamp::from_millis(hands.load(Ordering::SeqCst)));
    let ada = User {
        id: UserId::mint(NOW, [1; 10]),
        username: "ada".parse().unwrap(),
        password_hash: None,
        credentials_version: 1,
        display_name: None,
        attributes: serde_json::Map::new(),
        roles: vec![],
        version: 1,
        created_at: NOW,
    };
    assert_eq!(
        store.add_users(std::slice::from_ref(&ada)).await.unwrap(),
        [true]
    );
    let app = AppState {
        store,
        signing_key: Arc::new(testing::new_key()),
        clock,
    };
    let token = open_session(&app, ada.id).await;
    Fixture {
        app,
        ms,
        ada,
        token,
        _guard: guard,
    }
}

/// What a login does.
async fn open_session(app: &AppState, user_id: UserId) -> String {
    let minted = refresh_token::mint();
    let expires_at = NOW + refresh_token::LIFETIME;
    let session = Session {
        token_hash: minted.hash,
        family: refresh_token::family(),
        user_id,
        credentials_version: 1,
        expires_at,
    };
    app.store.open_session(&session).await.unwrap();
    minted.text
}

async fn post_to(app: &AppState, path: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .body(body.into());
    let response = runtime::app(router(app.clone()))
        .oneshot(request.unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        parts.status,
        parts.headers,
        serde_json::from_slice(&body).unwrap_or_default(),
    )
}

async fn refresh(app: &AppState, token: &str) -> Answer {
    post_to(
        app,
        "/users/refresh",
        json!({"refresh_token": token}).to_string(),
    )
    .await
}

async fn logout(app: &AppState, token: &str) -> Answer {
    post_to(
        app,
        "/users/logout",
        json!({"refresh_token": token}).to_string(),
    )
    .await
}

fn granted((status, headers, body): Answer) -> Grant {
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["cache-control"], "no-store");
    serde_json::from_value(body).unwrap()
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
async fn a_token_is_exchanged_for_its_successor_with_the_roles_of_now() {
    let Fixture {
        app,
        ada,
        token,
        ms,
        _guard,
    } = fixture().await;
    let promoted = User {
        roles: vec![Role::Admin],
        version: 2,
        ..ada.clone()
    };
    assert!(app.store.replace_user(&promoted).await.unwrap());
    let day_ms = 24 * 60 * 60 * 1000;
    // Each successor lives for thirty days from its making, so a session that is used goes on.
    let mut token = token;
    for _ in 0..3 {
        ms.fetch_add(20 * day_ms, Ordering::SeqCst);
        let grant = granted(refresh(&app, &token).await);
        assert_ne!(grant.refresh_token, token);
        let keys = auth::KeySet {
            keys: vec![app.signing_key.jwk()],
        };
        let verifier = auth::Verifier::new(&keys, testing::ISSUER, Arc::clone(&app.clock)).unwrap();
        let caller = verifier.verify(&grant.access_token).unwrap();
        assert_eq!(
            *caller,
            Caller {
                user_id: ada.id,
                roles: vec![Role::Admin]
            }
        );
        token = grant.refresh_token;
    }
}

#[tokio::test]
async fn fault_26_a_spent_token_revokes_its_family_and_leaves_an_audit_line() {
    let Fixture {
        app,
        ada,
        token,
        _guard,
        ..
    } = fixture().await;
    let other_login = open_session(&app, ada.id).await;
    let (lines, _logging) = Lines::collect();

    let second = granted(refresh(&app, &token).await).refresh_token;
    let third = granted(refresh(&app, &second).await).refresh_token;
    assert_problem(&refresh(&app, &token).await, Code::BadRefreshToken);

    // The thief's chain and the user's are one family: all of it is dead, and only the theft is a theft.
    for dead in [&third, &second, &token] {
        assert_problem(&refresh(&app, dead).await, Code::BadRefreshToken);
    }
    let log = lines.text();
    let audit: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("refresh-token-reused"))
        .collect();
    assert!(!audit.is_empty(), "{log}");
    assert!(
        audit[0].contains("\"WARN\"") && audit[0].contains(&ada.id.to_string()),
        "{log}"
    );
    for secret in [&token, &second, &third] {
        assert!(
            !log.contains(secret.as_str()) && !log.contains(&refresh_token::hash(secret).unwrap()),
            "{log}"
        );
    }
    // Another login of the same user is another family.
    granted(refresh(&app, &other_login).await);
}

#[tokio::test]
async fn fault_26_of_two_that_use_a_token_at_once_at_most_one_wins() {
    let Fixture {
        app, token, _guard, ..
    } = fixture().await;
    let (one, two) = tokio::join!(refresh(&app, &token), refresh(&app, &token));
    let winners = [&one, &two]
        .into_iter()
        .filter(|answer| answer.0 == StatusCode::OK)
        .count();
    assert_eq!(winners, 1, "{one:?} {two:?}");
    for (_, _, body) in [one, two] {
        if let Some(successor) = body["refresh_token"].as_str() {
            assert_problem(&refresh(&app, successor).await, Code::BadRefreshToken);
        }
    }
}

#[tokio::test]
async fn unknown_expired_and_foreign_tokens_get_one_answer() {
    let Fixture {
        app,
        ms,
        token,
        _guard,
        ..
    } = fixture().await;
    let nobody = open_session(&app, UserId::mint(NOW, [9; 10])).await;
    let expected = refresh(&app, &refresh_token::mint().text).await;
    assert_problem(&expected, Code::BadRefreshToken);
    for text in [
        "",
        "hunter2",
        &format!("{token}="),
        &"A".repeat(9000),
        &nobody,
    ] {
        assert_eq!(refresh(&app, text).await, expected, "{text}");
    }
    let lifetime = Duration::as_millis(&refresh_token::LIFETIME)
        .try_into()
        .unwrap();
    ms.fetch_add(lifetime, Ordering::SeqCst);
    assert_eq!(refresh(&app, &token).await, expected);
}

#[tokio::test]
async fn after_a_logout_nothing_can_be_refreshed_and_a_second_one_says_the_same() {
    let Fixture {
        app, token, _guard, ..
    } = fixture().await;
    let second = granted(refresh(&app, &token).await).refresh_token;
    for text in [
        &second,
        &second,
        &refresh_token::mint().text,
        &"hunter2".to_owned(),
    ] {
        assert_eq!(logout(&app, text).await.0, StatusCode::NO_CONTENT);
    }
    assert_problem(&refresh(&app, &second).await, Code::BadRefreshToken);
}

#[tokio::test]
async fn the_examples_are_taken_and_nonsense_is_malformed() {
    let Fixture { app, _guard, .. } = fixture().await;
    let document = serde_json::to_value(openapi()).unwrap();
    for (path, code) in [
        ("/users/refresh", StatusCode::UNAUTHORIZED),
        ("/users/logout", StatusCode::NO_CONTENT),
    ] {
        let content =
            &document["paths"][path]["post"]["requestBody"]["content"]["application/json"];
        assert_eq!(
            post_to(&app, path, content["example"].to_string()).await.0,
            code
        );
        for body in [
            r#"{"refresh_token": 1}"#,
            r#"{"refresh_token": "a", "user": "b"}"#,
            "{}",
            "",
        ] {
            assert_problem(&post_to(&app, path, body).await, Code::Malformed);
        }
    }
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
        signing_key: Arc::new(testing::new_key()),
        clock: Arc::new(|| NOW),
    };
    let token = refresh_token::mint().text;
    for answer in [refresh(&app, &token).await, logout(&app, &token).await] {
        assert_problem(&answer, Code::Unavailable);
        assert_eq!(answer.1["retry-after"], "1");
    }
}

#[test]
fn defects_are_internal_and_say_nothing() {
    for error in [
        Error::from(store::Error::Corrupt("item 7".into())),
        Error::from(auth::KeyError::Library),
    ] {
        assert_eq!(Problem::from(&error), Problem::new(Code::Internal));
    }
}

#[tokio::test]
async fn a_replaced_password_ends_the_sessions_of_the_one_before() {
    let Fixture {
        app,
        ada,
        token,
        _guard,
        ..
    } = fixture().await;
    let renamed = User {
        display_name: Some("Ada".into()),
        version: 2,
        ..ada.clone()
    };
    assert!(app.store.replace_user(&renamed).await.unwrap());
    let token = granted(refresh(&app, &token).await).refresh_token;
    let replaced = User {
        credentials_version: 2,
        version: 3,
        ..renamed
    };
    assert!(app.store.replace_user(&replaced).await.unwrap());
    assert_problem(&refresh(&app, &token).await, Code::BadRefreshToken);
}
