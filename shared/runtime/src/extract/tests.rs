use axum::{
    Router,
    body::Body,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;

use super::*;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    quantity: u8,
    #[serde(default)]
    attributes: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    cursor: String,
}

fn app() -> crate::App {
    let router = Router::new()
        .route("/json", post(async |Json(input): Json<Input>| Json(input)))
        .route(
            "/optional",
            post(async |OptionalJson(input): OptionalJson<Input>| Json(input)),
        )
        .route(
            "/bytes",
            post(async |Bytes(all): Bytes| all.len().to_string()),
        )
        .route("/page", get(async |Query(page): Query<Page>| page.cursor))
        .route(
            "/things/{id}",
            get(async |Path(id): Path<u32>| id.to_string()),
        )
        .route("/broken", get(async || Json(NoForm).into_response()));
    crate::app(router)
}

/// A type that has no JSON form.
struct NoForm;

impl Serialize for NoForm {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("none"))
    }
}

async fn send(request: Request) -> (StatusCode, String) {
    let response = app().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn post_json(path: &str, body: impl Into<Body>) -> (StatusCode, String) {
    let request = Request::post(path).header("content-type", "application/json; charset=utf-8");
    send(request.body(body.into()).unwrap()).await
}

async fn get_path(path: &str) -> (StatusCode, String) {
    send(Request::get(path).body(Body::empty()).unwrap()).await
}

fn code(body: &str) -> String {
    let document: Value = serde_json::from_str(body).unwrap();
    document["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn json_goes_in_and_out() {
    let sent = json!({"quantity": 2, "attributes": {"a": {"b": [1, -2, 0.5, true, null, "x"]}}});
    let (status, body) = post_json("/json", sent.to_string()).await;
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), sent);
}

#[tokio::test]
async fn fault_22_json_that_is_wrong_is_400_and_never_quoted() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_within = format!(
        r#"{{"quantity":1,"attributes":{{"a":{}1"#,
        "[".repeat(8_000)
    );
    let wrong: [&[u8]; 16] = [
        b"",
        b"hunter2",
        b"{\"quantity\":",
        b"{\"quantity\":1} hunter2",
        b"{\"quantity\":1,\"hunter2\":1}",
        b"{\"quantity\":1,\"quantity\":2}",
        b"{\"quantity\":1,\"attributes\":{\"hunter2\":1,\"hunter2\":2}}",
        b"{\"quantity\":1,\"attributes\":{\"a\":[{\"hunter2\":1,\"hunter\\u0032\":2}]}}",
        b"{\"quantity\":\"hunter2\"}",
        b"{\"quantity\":1e99999}",
        b"{\"quantity\":256}",
        b"{\"quantity\":-1}",
        b"{\"quantity\":\"\xff\xfehunter2\"}",
        b"\xef\xbb\xbf{\"quantity\":1}",
        b"[1]",
        deep_within.as_bytes(),
    ];
    for body in wrong {
        let (status, answer) = post_json("/json", body.to_vec()).await;
        assert_eq!(status, 400, "{}", String::from_utf8_lossy(body));
        assert_eq!(code(&answer), "malformed");
        assert!(!answer.contains("hunter"), "{answer}");
    }
    // Too deep and too large: the size is looked at first.
    let (status, answer) = post_json("/json", deep).await;
    assert_eq!(
        (status.as_u16(), code(&answer).as_str()),
        (413, "too-large")
    );
}

#[tokio::test]
async fn a_body_of_another_type_is_415() {
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "",
        "json",
    ] {
        let request = Request::post("/json").header("content-type", content_type);
        let request = request.body(Body::from(r#"{"quantity":1}"#)).unwrap();
        let (status, body) = send(request).await;
        assert_eq!(status, 415, "{content_type}");
        assert_eq!(code(&body), "unsupported-media-type");
    }
}

#[tokio::test]
async fn an_optional_body_may_be_left_out_but_not_be_wrong() {
    let (status, body) = post_json("/optional", Body::empty()).await;
    assert_eq!(
        (status.as_u16(), body.contains(r#""quantity":0"#)),
        (200, true)
    );
    let untyped = Request::post("/optional").body(Body::empty()).unwrap();
    assert_eq!(send(untyped).await.0, 200);
    let (_, body) = post_json("/optional", r#"{"quantity":3}"#).await;
    assert!(body.contains(r#""quantity":3"#));
    assert_eq!(post_json("/optional", "{}").await.0, 400);
    let untyped = Request::post("/optional").body(Body::from("{}")).unwrap();
    assert_eq!(send(untyped).await.0, 415);
}

#[tokio::test]
async fn a_body_may_have_16_kib_and_no_byte_more() {
    let largest = vec![b'x'; 16 * 1024];
    let (status, body) = post_json("/bytes", largest.clone()).await;
    assert_eq!((status.as_u16(), body.as_str()), (200, "16384"));
    let one_more = [largest, vec![b'x']].concat();
    let (status, body) = post_json("/bytes", one_more).await;
    assert_eq!((status.as_u16(), code(&body).as_str()), (413, "too-large"));
}

#[tokio::test]
async fn paths_and_queries_that_do_not_fit_are_400_and_never_quoted() {
    assert_eq!(get_path("/things/7").await.1, "7");
    assert_eq!(get_path("/page?cursor=a%20b").await.1, "a b");
    assert_eq!(get_path("/page").await.0, 200);
    for path in [
        "/things/hunter2",
        "/things/%ff",
        "/things/-1",
        "/page?hunter2=1",
        "/page?cursor=hunter2&cursor=hunter2",
    ] {
        let (status, body) = get_path(path).await;
        assert_eq!(
            (status.as_u16(), code(&body).as_str()),
            (400, "malformed"),
            "{path}"
        );
        assert!(!body.contains("hunter"), "{body}");
    }
}

#[tokio::test]
async fn an_answer_without_json_form_is_a_500() {
    let (status, body) = get_path("/broken").await;
    assert_eq!((status.as_u16(), code(&body).as_str()), (500, "internal"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn fault_22_no_bytes_make_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (status, _) = runtime.block_on(post_json("/json", body));
        prop_assert!(status == 200 || status == 400);
    }

    #[test]
    fn fault_22_nearly_json_is_accepted_or_400(at in 0..40_usize, byte in any::<u8>()) {
        let mut body = br#"{"quantity":1,"attributes":{"a":[1,"b"]}}"#.to_vec();
        body[at] = byte;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (status, _) = runtime.block_on(post_json("/json", body));
        prop_assert!(status == 200 || status == 400);
    }

    #[test]
    fn fault_28_no_path_or_query_is_more_than_malformed(text in prop_oneof![any::<String>(), "[%&=;+#?0-9a-fcursor]{0,60}"], raw in any::<bool>()) {
        put_through(&text, raw);
    }
}

/// Sends a text as an id and as a query. It is taken as it stands, or refused without being quoted.
fn put_through(text: &str, raw: bool) {
    let encoded: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let encoded = encoded.concat();
    let part = if raw { text } else { &encoded };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for target in [
        format!("/things/{part}"),
        format!("/page?cursor={part}"),
        format!("/page?{part}"),
    ] {
        // What is no target is refused by the parser of HTTP.
        let Ok(request) = Request::get(&target).body(Body::empty()) else {
            continue;
        };
        let (status, answer) = runtime.block_on(send(request));
        match status.as_u16() {
            200 => assert!(
                raw || answer == text || answer.parse::<u32>().is_ok(),
                "{target}"
            ),
            400 => assert_eq!(code(&answer), "malformed"),
            404 => assert!(["not-found"].contains(&code(&answer).as_str()), "{target}"),
            other => panic!("{target}: {other}"),
        }
        let marked = text.len() > 9 && answer.contains(text);
        assert!(status == 200 || !marked, "{target}: {answer}");
    }
}

#[test]
fn fault_28_no_text_of_the_corpus_is_more_than_malformed() {
    const CORPUS: &str = include_str!("../../../domain/corpus/texts.jsonl");
    for text in CORPUS.lines() {
        let text: String = serde_json::from_str(text).unwrap();
        put_through(&text, false);
        put_through(&text, true);
    }
}
