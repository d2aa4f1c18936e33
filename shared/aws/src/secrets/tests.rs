//! The reader against a Secrets Manager of our own.

use std::{
    sync::{Arc, Mutex},
    time::UNIX_EPOCH,
};

use axum::{
    Router,
    body::Bytes as Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use tokio::{net::TcpListener, sync::Barrier};

use super::*;

const ONE: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:spike-one-AbCdEf";
const TWO: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:spike-two-AbCdEf";

type Heads = Arc<Mutex<Vec<HeaderMap>>>;

async fn secrets_behind(router: Router) -> Secrets {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let credentials = Credentials::new("id", "hunter2", Some("session".to_owned()), None, "test");
    Secrets::new(credentials, Some(endpoint.parse().unwrap())).unwrap()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_796_000_000)
}

#[tokio::test]
async fn secrets_are_read_at_once_and_in_their_order() {
    let heads = Heads::default();
    // Each answer waits for the other request.
    let both = Arc::new(Barrier::new(2));
    let read = async move |State(heads): State<Heads>, headers: HeaderMap, body: Body| {
        heads.lock().unwrap().push(headers);
        both.wait().await;
        let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
        if asked["SecretId"] == ONE {
            json!({"ARN": ONE, "Name": "one", "SecretString": "first", "VersionStages": ["AWSCURRENT"]}).to_string()
        } else {
            json!({"ARN": TWO, "SecretBinary": "c2Vjb25k"}).to_string()
        }
    };
    let secrets = secrets_behind(
        Router::new()
            .route("/", post(read))
            .with_state(Arc::clone(&heads)),
    )
    .await;
    assert_eq!(
        secrets.read(&[ONE, TWO], now()).await.unwrap(),
        ["first", "second"]
    );
    assert!(secrets.read(&[], now()).await.unwrap().is_empty());
    for head in &*heads.lock().unwrap() {
        assert_eq!(head["x-amz-target"], "secretsmanager.GetSecretValue");
        assert_eq!(head["content-type"], "application/x-amz-json-1.1");
        assert_eq!(head["x-amz-security-token"], "session");
        let signature = head["authorization"].to_str().unwrap();
        assert!(
            signature.starts_with(
                "AWS4-HMAC-SHA256 Credential=id/20261130/eu-central-1/secretsmanager/aws4_request"
            ),
            "{signature}"
        );
    }
}

#[tokio::test]
async fn a_secret_that_is_refused_is_named() {
    let refuse = async || {
        let body = json!({"__type": "AccessDeniedException", "Message": "hunter2"}).to_string();
        (StatusCode::BAD_REQUEST, body)
    };
    let secrets = secrets_behind(Router::new().route("/", post(refuse))).await;
    let error = secrets.read(&[ONE], now()).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!("Secrets Manager refused {ONE} with status 400: AccessDeniedException")
    );
    let nothing = Router::new().route("/", post(async || "{}"));
    let error = secrets_behind(nothing)
        .await
        .read(&[ONE], now())
        .await
        .unwrap_err();
    assert!(matches!(error, SecretError::Away { arn, .. } if arn == ONE));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let credentials = Credentials::new("id", "key", None, None, "test");
    let secrets = Secrets::new(credentials, Some(endpoint.parse().unwrap())).unwrap();
    assert!(matches!(
        secrets.read(&[ONE], now()).await,
        Err(SecretError::Late)
    ));
}

#[test]
fn only_arns_of_secrets_are_asked_about() {
    assert_eq!(region(ONE), Some("eu-central-1"));
    for arn in [
        "",
        "spike-one",
        "arn:aws:sqs:eu-central-1:1:q",
        "arn:aws:secretsmanager",
        "arn:aws:secretsmanager::1:secret:x",
        "arn:aws:secretsmanager:evil.example/:1:secret:x",
    ] {
        assert_eq!(region(arn), None, "{arn}");
    }
}

#[test]
fn a_secret_is_at_its_regions_service() {
    let credentials = Credentials::new("id", "key", None, None, "test");
    let secrets = Secrets::new(credentials, None).unwrap();
    let request = secrets.request(ONE, now()).unwrap();
    assert_eq!(
        request.uri(),
        "https://secretsmanager.eu-central-1.amazonaws.com/"
    );
    assert_eq!(
        request.headers()["host"],
        "secretsmanager.eu-central-1.amazonaws.com"
    );
}
