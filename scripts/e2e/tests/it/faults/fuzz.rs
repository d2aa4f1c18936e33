//! Every operation of the API, asked what nobody should ask: whatever it is, the answer is one that the document lists,
//! never of a 5xx status, and never quotes a refused request.

use std::time::Duration;

use e2e::{client::Call, document::Operation};
use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::{FileFailurePersistence, TestRunner},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
};

use crate::{
    openapi::body_of,
    routes::Things,
    stage::{Stage, stage},
};

/// Stands in many inputs, and must not come back in a refusal.
const MARK: &str = "echo-me-not";
/// How many requests one run makes. What a run finds is kept beside the tests and asked first from then on.
const CASES: u32 = 1_500;
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

fn corpus() -> Vec<String> {
    let lines = include_str!("../../../../../shared/domain/corpus/texts.jsonl").lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A request in parts, each of which may be strange.
#[derive(Debug, Clone)]
struct Strange {
    operation: Index,
    change: Change,
    parameter: Option<String>,
    query: Option<(&'static str, String)>,
    header: Option<(&'static str, String)>,
    content_type: &'static str,
}

/// What is done to a good body.
#[derive(Debug, Clone)]
enum Change {
    Nothing,
    /// A member of it is another value.
    Member(Index, Value),
    /// There is one member more.
    Added(String, Value),
    /// A byte is another one.
    Byte(Index, u8),
    /// It ends early.
    Cut(Index),
    /// It is something else.
    Instead(Vec<u8>),
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(corpus()),
        1 => any::<String>(),
        1 => "[a-z]{0,8}".prop_map(|text| format!("{MARK}{text}")),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        select(vec![0, 1, 2, -1, i64::MAX, i64::MIN]).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map(texts(), inner, 0..4).prop_map(|it| json!(it)),
        ]
    })
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => Just(Change::Nothing),
        6 => (any::<Index>(), values()).prop_map(|(at, value)| Change::Member(at, value)),
        1 => (texts(), values()).prop_map(|(name, value)| Change::Added(name, value)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => values().prop_map(|value| Change::Instead(value.to_string().into_bytes())),
        1 => any::<Vec<u8>>().prop_map(Change::Instead),
    ]
}

fn requests() -> impl Strategy<Value = Strange> {
    let headers = select(vec![
        "authorization",
        "if-match",
        "accept",
        "content-encoding",
        "x-forwarded-for",
        "traceparent",
    ]);
    let names = select(vec![
        "cursor", "limit", "username", "status", "reason", MARK,
    ]);
    let content_types = prop_oneof![
        8 => Just("application/json"),
        1 => Just("text/plain"),
        1 => Just("application/x-ndjson"),
    ];
    (
        any::<Index>(),
        changes(),
        prop::option::weighted(0.2, texts()),
        prop::option::weighted(0.2, (names, texts())),
        prop::option::weighted(0.2, (headers, texts())),
        content_types,
    )
        .prop_map(
            |(operation, change, parameter, query, header, content_type)| Strange {
                operation,
                change,
                parameter,
                query,
                header,
                content_type,
            },
        )
}

/// Every member of a document, however deep, by its pointer.
fn pointers(value: &Value, at: &str) -> Vec<String> {
    let members: Vec<(String, &Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, it)| (format!("{at}/{name}"), it))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, it)| (format!("{at}/{index}"), it))
            .collect(),
        _ => Vec::new(),
    };
    let within = members.iter().flat_map(|(at, it)| pointers(it, at));
    let within: Vec<String> = within.collect();
    members
        .into_iter()
        .map(|(at, _)| at)
        .chain(within)
        .collect()
}

impl Change {
    fn of(&self, good: &Value) -> Vec<u8> {
        let mut body = good.clone();
        let mut bytes = body.to_string().into_bytes();
        match self {
            Self::Nothing => {}
            Self::Member(at, value) => {
                let pointers = pointers(&body, "");
                if !pointers.is_empty() {
                    let member = body.pointer_mut(&pointers[at.index(pointers.len())]);
                    *member.expect("it is one of the document's") = value.clone();
                }
                bytes = body.to_string().into_bytes();
            }
            Self::Added(name, value) => {
                body[name] = value.clone();
                bytes = body.to_string().into_bytes();
            }
            Self::Byte(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Instead(other) => bytes.clone_from(other),
        }
        bytes
    }
}

/// In the way that any text may stand in a path or a query. Letters stay, so that long texts fit into a head: what does
/// not is refused by the parser of HTTP, without a document.
fn encoded(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'a'..=b'z' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    bytes.collect()
}

fn call(strange: &Strange, operation: &Operation<'_>, stage: &Stage, things: &Things) -> Call {
    let mut path = operation.path.to_owned();
    if let (Some(text), Some(begin), Some(end)) =
        (&strange.parameter, path.find('{'), path.find('}'))
    {
        // These make another path, however they are written.
        let other = ["", ".", ".."].contains(&text.as_str());
        let text = if other { MARK } else { text };
        path.replace_range(begin..=end, &encoded(text));
    }
    path = things.fill(&path);
    if let Some((name, text)) = &strange.query {
        path = format!("{path}?{name}={}", encoded(text));
    }
    let mut call = Call::new(operation.method, path);
    let own = strange.header.as_ref().filter(|(_, text)| {
        // Other texts are no header fields at all; the client would not send them.
        text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    });
    if own.is_none_or(|(name, _)| *name != "authorization") {
        let admin = operation.path.starts_with("/admin");
        call = call.bearer(if admin {
            &stage.admin.token
        } else {
            &things.owner.token
        });
    }
    if own.is_none_or(|(name, _)| *name != "if-match") {
        call = call.if_match("\"1\"");
    }
    if let Some((name, text)) = own {
        call = call.header(name, text.clone());
    }
    match body_of(operation) {
        Some(good) => call.body(strange.content_type, strange.change.of(&good)),
        None => call,
    }
}

/// What runs the cases of one property, and keeps those that break it in a folder of this suite.
fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig {
        cases,
        max_shrink_iters: 200,
        failure_persistence: Some(Box::new(FileFailurePersistence::SourceParallel(
            "proptest-regressions",
        ))),
        source_file: Some(file!()),
        ..ProptestConfig::default()
    })
}

#[test]
fn fault_22_no_request_gets_an_answer_that_is_not_listed() {
    let runtime = Runtime::new().unwrap();
    let (stage, things) = runtime.block_on(async {
        let stage = stage().await;
        let things = Things::new(&stage).await;
        (stage, things)
    });
    let document = stage.client.document().unwrap().clone();
    let operations = document.operations();
    let ask = |strange: Strange| {
        let operation = strange.operation.get(&operations);
        let call = call(&strange, operation, &stage, &things);
        // The client looks the answer up in the document: its status, its code, its header fields, its JSON.
        let answer = runtime.block_on(stage.client.try_send(call));
        let answer = answer
            .map_err(|error| TestCaseError::fail(format!("{}: {error:#}", operation.key())))?;
        let outcome = answer.outcome();
        prop_assert!(
            answer.status.as_u16() < 500 || outcome == "503 busy",
            "{}: {outcome}",
            operation.key()
        );
        let quotes = String::from_utf8_lossy(&answer.body).contains(MARK);
        prop_assert!(
            answer.status.is_success() || !quotes,
            "{}: {answer:?}",
            operation.key()
        );
        Ok(())
    };
    runner(CASES).run(&requests(), ask).unwrap();
}

/// Heads that are nearly heads.
fn heads() -> impl Strategy<Value = Vec<u8>> {
    let target = prop_oneof![
        Just("/spikes".to_owned()),
        Just("/orders".to_owned()),
        Just("*".to_owned()),
        Just("http://evil.example/spikes".to_owned()),
        texts(),
        texts().prop_map(|text| format!("/spikes/{text}")),
        texts().prop_map(|text| format!("/spikes?{text}")),
    ];
    let method = select(vec![
        "GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PRI", "get", "",
    ]);
    let version = select(vec![
        "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "HTTP/", "",
    ]);
    let name = select(vec![
        "host",
        "authorization",
        "content-length",
        "transfer-encoding",
        "expect",
        "connection",
        "upgrade",
        "te",
        "content-type",
        "x",
    ]);
    let fields = prop::collection::vec((name, texts()), 0..4);
    (method, target, version, fields, any::<Vec<u8>>()).prop_map(
        |(method, target, version, fields, body)| {
            let fields = fields
                .iter()
                .map(|(name, text)| format!("{name}: {text}\r\n"));
            let head = format!(
                "{method} {target} {version}\r\n{}\r\n",
                fields.collect::<String>()
            );
            [head.as_bytes(), &body].concat()
        },
    )
}

#[test]
fn fault_22_no_bytes_on_a_connection_get_a_5xx_or_an_echo() {
    let runtime = Runtime::new().unwrap();
    let stage = runtime.block_on(stage());
    let address = stage
        .client
        .base_url()
        .trim_start_matches("http://")
        .to_owned();
    let ask = |bytes: Vec<u8>| {
        let answer = runtime.block_on(async {
            let (mut from, mut to) = TcpStream::connect(&address).await.unwrap().into_split();
            let _ = to.write_all(&bytes).await;
            // The end of what we send: whoever waits for more is told that there is none.
            let _ = to.shutdown().await;
            let mut answer = Vec::new();
            let read = tokio::time::timeout(CLOSED_WITHIN, from.read_to_end(&mut answer)).await;
            read.map(|_| String::from_utf8_lossy(&answer).into_owned())
        });
        let answer = answer.map_err(|_| TestCaseError::fail("the connection stays open"))?;
        let statuses = answer.split("HTTP/1.1 ").skip(1).map(|it| it.get(..1));
        prop_assert!(
            statuses
                .clone()
                .all(|it| matches!(it, Some("1" | "2" | "3" | "4"))),
            "{answer}"
        );
        let refused = statuses.clone().all(|it| it == Some("4"));
        prop_assert!(!refused || !answer.contains(MARK), "{answer}");
        Ok(())
    };
    runner(CASES / 3).run(&heads(), ask).unwrap();
}
