use aws::Credentials;
use axum::{Router, body::Bytes, routing::post};
use tokio::net::TcpListener;

use super::*;

const ARN_OF: &str = "arn:aws:secretsmanager:eu-central-1:1:secret:";

fn variables(given: &[(&str, &str)]) -> HashMap<String, String> {
    let given = given.iter();
    given
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

#[test]
fn what_is_given_otherwise_is_not_asked_for() {
    let named = among(&variables(&[
        ("STOCK_URL_SECRET", "arn:stock"),
        ("SIGNING_KEY_SECRET", "arn:key"),
        ("SIGNING_KEY", "given"),
        ("PATH_TOKEN_KEY_SECRET", "arn:path"),
        ("PATH_TOKEN_KEY_FILE", "/run/key"),
        ("CLIENT_SECRET", "hunter2"),
        ("ACCESS_TOKEN_KEYS_SECRET", "arn:a,arn:b"),
        ("ACCESS_TOKEN_KEYS", ""),
    ]));
    let expected = [
        ("ACCESS_TOKEN_KEYS", "arn:a,arn:b"),
        ("STOCK_URL", "arn:stock"),
    ];
    assert_eq!(
        named,
        expected.map(|(name, arns)| (name.to_owned(), arns.to_owned()))
    );
}

#[tokio::test]
async fn several_secrets_are_one_text_a_line_each() {
    let answer = async |body: Bytes| {
        let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let name = asked["SecretId"]
            .as_str()
            .unwrap()
            .rsplit(':')
            .next()
            .unwrap()
            .to_owned();
        serde_json::json!({ "SecretString": format!("text of {name}\n") }).to_string()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(crate::server::serve_on(
        listener,
        crate::app(Router::new().route("/", post(answer))),
        crate::Limits::default(),
        std::future::pending(),
    ));
    let credentials = Credentials::new("id", "key", None, None, "test");
    let secrets = Secrets::new(credentials, Some(endpoint.parse().unwrap())).unwrap();
    let named = vec![
        ("KEYS".to_owned(), format!("{ARN_OF}a,{ARN_OF}b")),
        ("URL".to_owned(), format!("{ARN_OF}c")),
    ];
    let read = read_from(&secrets, &named).await.unwrap();
    assert_eq!(read["KEYS"], "text of a\ntext of b");
    assert_eq!(read["URL"], "text of c");

    let wrong = vec![("KEYS".to_owned(), "arn:nothing".to_owned())];
    let error = format!("{:#}", read_from(&secrets, &wrong).await.unwrap_err());
    assert_eq!(
        error,
        "cannot read KEYS: \"arn:nothing\" is not the ARN of a secret"
    );
}

#[tokio::test]
async fn where_nothing_is_named_nothing_is_needed() {
    assert!(read(&Named::new()).await.unwrap().is_empty());
}
