//! Against a Lambda API of the test's own, over plain HTTP.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Request as Call, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use domain::Timestamp;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use super::*;

/// More than AWS has.
const NO_ROOM: u32 = 900;

/// Provisioned concurrency by function, for those that exist.
type Account = Arc<Mutex<BTreeMap<String, u32>>>;

struct Lambda {
    account: Account,
    aws: Aws,
    server: JoinHandle<()>,
}

impl Drop for Lambda {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Lambda {
    /// An account with the function `shop-spike`, and credentials with this key.
    async fn with_key(key: &str) -> Self {
        let account = Account::default();
        account.lock().unwrap().insert("shop-spike".to_owned(), 0);
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&account));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        let session = Some("session".to_owned());
        let aws = Aws::new(
            &endpoint.parse().unwrap(),
            "eu-central-1",
            "shop-",
            Credentials::new(key, "secret", session, None, "test"),
            Arc::new(|| Timestamp::from_millis(1_790_000_000_000)),
        );
        Self {
            account,
            aws: aws.unwrap(),
            server,
        }
    }
}

fn refused(code: u16, error: &str) -> Response {
    let error = format!("{error}:http://internal.amazon.com/coral/com.amazonaws.lambda/");
    let body = json!({ "Type": "User", "Message": "no." }).to_string();
    let code = StatusCode::from_u16(code).unwrap();
    (code, [("x-amzn-errortype", error)], body).into_response()
}

fn is_signed(headers: &HeaderMap) -> bool {
    let scope = "AWS4-HMAC-SHA256 Credential=AKID/20260921/eu-central-1/lambda/aws4_request, SignedHeaders=";
    let text = |name: &'static str| {
        headers
            .get(name)
            .and_then(|it: &http::HeaderValue| it.to_str().ok())
    };
    text("authorization").is_some_and(|it| it.starts_with(scope) && it.contains("host"))
        && text("x-amz-security-token") == Some("session")
        && text("x-amz-date") == Some("20260921T141320Z")
}

async fn answer(State(account): State<Account>, call: Call) -> Response {
    let (head, body) = call.into_parts();
    if !is_signed(&head.headers) {
        return refused(403, "AccessDeniedException");
    }
    let path = head.uri.path();
    let name = path.strip_prefix("/2019-09-30/functions/");
    let name = name.and_then(|rest| rest.strip_suffix("/provisioned-concurrency"));
    let body = axum::body::to_bytes(body, 1000).await.unwrap();
    let mut account = account.lock().unwrap();
    let Some(provisioned) = name.and_then(|name| account.get_mut(name)) else {
        return refused(404, "ResourceNotFoundException");
    };
    assert_eq!(head.uri.query(), Some("Qualifier=live"));
    match (head.method, *provisioned) {
        (Method::GET | Method::DELETE, 0) => refused(404, NONE_THERE),
        (Method::GET, some) => {
            let status = if some == NO_ROOM {
                "FAILED"
            } else {
                "IN_PROGRESS"
            };
            json!({ "RequestedProvisionedConcurrentExecutions": some, "Status": status })
                .to_string()
                .into_response()
        }
        (Method::DELETE, _) => {
            *provisioned = 0;
            StatusCode::NO_CONTENT.into_response()
        }
        _ => {
            let body: Value = serde_json::from_slice(&body).unwrap();
            match body["ProvisionedConcurrentExecutions"].as_u64().unwrap() {
                409 => refused(409, "ResourceConflictException"),
                429 => refused(429, "TooManyRequestsException"),
                wanted @ 1000.. => {
                    refused(400, &format!("InvalidParameterValueException {wanted}"))
                }
                wanted => {
                    *provisioned = u32::try_from(wanted).unwrap();
                    (StatusCode::ACCEPTED, "{}").into_response()
                }
            }
        }
    }
}

#[tokio::test]
async fn concurrency_is_provisioned_read_and_deleted() {
    let lambda = Lambda::with_key("AKID").await;
    let none = lambda.aws.level("spike").await.unwrap();
    assert_eq!((none.own, none.at, none.noted), (None, 0, false));
    let set = lambda.aws.set("spike", &none, 12).await.unwrap();
    assert_eq!(
        (set, lambda.account.lock().unwrap()["shop-spike"]),
        (Applied::Done, 12)
    );
    let some = lambda.aws.level("spike").await.unwrap();
    assert_eq!((some.own, some.at, some.noted), (None, 12, true));
    // The second time there is nothing to delete.
    for _ in 0..2 {
        let undone = lambda.aws.set("spike", &some, 0).await.unwrap();
        assert_eq!(
            (undone, lambda.account.lock().unwrap()["shop-spike"]),
            (Applied::Done, 0)
        );
    }
}

#[tokio::test]
async fn what_aws_had_no_room_for_is_not_there_and_can_be_taken_away() {
    let lambda = Lambda::with_key("AKID").await;
    let none = lambda.aws.level("spike").await.unwrap();
    lambda.aws.set("spike", &none, NO_ROOM).await.unwrap();
    let failed = lambda.aws.level("spike").await.unwrap();
    assert_eq!((failed.at, failed.noted), (0, true));
}

#[tokio::test]
async fn what_lambda_refuses_is_told_apart() {
    let lambda = Lambda::with_key("AKID").await;
    let level = lambda.aws.level("spike").await.unwrap();
    let set = async |to| lambda.aws.set("spike", &level, to).await;
    assert!(matches!(set(409).await, Ok(Applied::Conflict)));
    assert!(matches!(set(429).await, Err(CapacityError::Busy(429))));
    match set(1000).await {
        Err(CapacityError::Refused { status, message }) => {
            assert_eq!((status, &*message), (400, "no."));
        }
        other => panic!("{other:?}"),
    }
    let missing = lambda.aws.level("keys").await;
    assert!(matches!(missing, Err(CapacityError::Missing(_))));
    let stranger = Lambda::with_key("OTHER").await;
    let denied = stranger.aws.level("spike").await;
    assert!(matches!(
        denied,
        Err(CapacityError::Denied { status: 403, .. })
    ));
}

#[tokio::test]
async fn an_api_that_is_away_is_told_from_one_that_refuses() {
    let mut lambda = Lambda::with_key("AKID").await;
    "http://127.0.0.1:1".clone_into(&mut lambda.aws.endpoint);
    let away = lambda.aws.level("spike").await;
    assert!(matches!(away, Err(CapacityError::Away(_))));
}
