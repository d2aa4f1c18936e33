//! What no client library sends: requests that are none, bodies that lie, and connections that only cost.

use std::time::Duration;

use e2e::{client::Call, document::Operation};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    routes::Things,
    stage::{Stage, stage},
};

/// Five times what a server gives a head or a body, and more.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);
/// Of each kind of connection that only costs.
const HELD_OF_A_KIND: usize = 40;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// HEADERS of stream 1 without `END_HEADERS`; nothing follows.
const HALF_HEADERS: &[u8] = b"\0\0\x01\x01\0\0\0\0\x01\x82";

async fn connect(stage: &Stage) -> TcpStream {
    let address = stage.client.base_url().trim_start_matches("http://");
    TcpStream::connect(address).await.unwrap()
}

/// All that comes until the server closes. A reset is an end too: bytes that nobody took may be on their way.
async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(CLOSED_WITHIN, stream.read_to_end(&mut answer));
    let _ = read.await.expect("the server closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends what the server takes of `bytes` and reads all that it answers, while our side stays open.
async fn exchange(stage: &Stage, bytes: Vec<u8>) -> String {
    let (mut from, mut to) = connect(stage).await.into_split();
    let sending = tokio::spawn(async move {
        let _ = to.write_all(&bytes).await;
        to
    });
    let answer = read_to_end(&mut from).await;
    drop(from);
    let _open_until_now = sending.await.unwrap();
    answer
}

fn head(operation: &Operation<'_>, things: &Things, stage: &Stage, framing: &str) -> String {
    let token = if operation.path.starts_with("/admin") {
        &stage.admin.token
    } else {
        &things.owner.token
    };
    format!(
        "{} {} HTTP/1.1\r\nhost: spike\r\nauthorization: Bearer {token}\r\nif-match: \"1\"\r\ncontent-type: {}\r\n{framing}\r\n\r\n",
        operation.method.to_ascii_uppercase(),
        things.fill(operation.path),
        operation.takes().unwrap_or("application/json"),
    )
}

fn assert_closed_with(answer: &str, status: &str, code: &str, what: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{what}: {answer}"
    );
    assert!(
        answer.contains(&format!("\"code\":\"{code}\"")),
        "{what}: {answer}"
    );
    assert!(answer.contains("connection: close"), "{what}: {answer}");
    assert!(
        answer.contains("application/problem+json"),
        "{what}: {answer}"
    );
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer}");
}

#[tokio::test]
async fn fault_22_what_is_no_request_is_refused_and_smuggles_nothing_in() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let inner = "GET /spikes HTTP/1.1\r\nhost: spike\r\n\r\n";
    let requests: Vec<Vec<u8>> = vec![
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1 \r\nhost: a\r\n\r\n".to_vec(),
        b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        b"GET /\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nhost : a\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\n: a\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nhost: a\0b\r\n\r\n".to_vec(),
        format!("POST /users HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}").into_bytes(),
        format!("POST /users HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}").into_bytes(),
        format!("POST /users HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n{inner}").into_bytes(),
        format!("POST /users HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ncontent-length: {}\r\n\r\n{inner}", inner.len()).into_bytes(),
        format!("POST /users HTTP/1.1\r\nhost: a\r\ncontent-length: +0\r\n\r\n{inner}").into_bytes(),
        format!("POST /users HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n{inner}").into_bytes(),
        format!("POST /users HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{inner}").into_bytes(),
    ];
    for request in requests {
        let what = String::from_utf8_lossy(&request).into_owned();
        let answer = exchange(&stage, request).await;
        let status = answer.strip_prefix("HTTP/1.1 ").and_then(|it| it.get(..1));
        assert!(
            answer.is_empty() || status == Some("4"),
            "{what:?}: {answer}"
        );
        assert!(
            answer.matches("HTTP/1.1 ").count() <= 1,
            "{what:?}: {answer}"
        );
    }
    stage.send(Call::get("/spikes")).await.expect("200");
    witness.finds_all_well().await;
}

#[tokio::test]
async fn fault_23_a_body_that_claims_10_mb_is_refused_unread_by_every_operation() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let things = Things::new(&stage).await;
    let document = stage.client.document().unwrap().clone();
    let operations = document.operations().into_iter();
    for operation in operations.filter(|it| it.takes().is_some()) {
        for framing in [
            "content-length: 10000000",
            "content-length: 10000000\r\nexpect: 100-continue",
        ] {
            let request = head(&operation, &things, &stage, framing);
            let answer = exchange(&stage, request.into_bytes()).await;
            assert_closed_with(&answer, "413", "too-large", &operation.key());
        }
    }
    witness.finds_all_well().await;
}

#[tokio::test]
async fn fault_23_bodies_that_are_or_become_too_large_are_refused_while_they_come() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let things = Things::new(&stage).await;
    let document = stage.client.document().unwrap().clone();
    let operations = document.operations().into_iter();
    for operation in operations.filter(|it| it.takes() == Some("application/json")) {
        let mut sent = head(&operation, &things, &stage, "content-length: 10000000").into_bytes();
        sent.resize(sent.len() + 10_000_000, b' ');
        let answer = exchange(&stage, sent).await;
        assert_closed_with(&answer, "413", "too-large", &operation.key());
        // A valid document may begin with any amount of white space.
        let chunk = format!("400\r\n{}\r\n", " ".repeat(1024)).repeat(2_000);
        let endless = head(&operation, &things, &stage, "transfer-encoding: chunked") + &chunk;
        let answer = exchange(&stage, endless.into_bytes()).await;
        assert_closed_with(&answer, "413", "too-large", &operation.key());
    }
    witness.finds_all_well().await;
}

#[tokio::test]
async fn fault_23_a_body_that_is_longer_than_it_says_is_no_second_request_of_ours() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let body = r#"{"username":"x"}"#;
    let head = format!(
        "POST /users/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = exchange(
        &stage,
        format!("{head}{body}{{\"and\":\"more\"}}\r\n\r\n").into_bytes(),
    )
    .await;
    let statuses: Vec<&str> = answer
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|it| &it[..3])
        .collect();
    assert_eq!(statuses, ["400", "400"], "{answer}");
    witness.finds_all_well().await;
}

/// A connection that only costs: what it sends, and whether it goes on sending.
async fn hold(stage: &Stage, first: &[u8], drips: bool) -> tokio::task::JoinHandle<String> {
    let mut stream = connect(stage).await;
    stream.write_all(first).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    tokio::spawn(async move {
        let dripping = tokio::spawn(async move {
            while !drips || to.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        let answer = read_to_end(&mut from).await;
        dripping.abort();
        answer
    })
}

#[tokio::test]
async fn fault_24_connections_that_only_cost_are_closed_and_buyers_are_served_meanwhile() {
    let stage = stage().await;
    let posts = "POST /users HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    let kinds: [(&str, Vec<u8>, bool); 8] = [
        ("silent", Vec::new(), false),
        (
            "half a head",
            b"GET /spikes HTTP/1.1\r\nhost: a\r\n".to_vec(),
            false,
        ),
        (
            "a head that drips",
            b"GET /spikes HTTP/1.1\r\nx: ".to_vec(),
            true,
        ),
        ("half a preface", PREFACE[..20].to_vec(), false),
        ("a preface alone", PREFACE.to_vec(), false),
        (
            "half a head of HTTP/2",
            [PREFACE, SETTINGS, HALF_HEADERS].concat(),
            false,
        ),
        (
            "half a body",
            format!("{posts}content-length: 1000\r\n\r\n{{").into_bytes(),
            false,
        ),
        (
            "a body that drips",
            format!("{posts}content-length: 10000\r\n\r\n").into_bytes(),
            true,
        ),
    ];
    let mut held = Vec::new();
    for (kind, first, drips) in &kinds {
        for _ in 0..HELD_OF_A_KIND {
            held.push((*kind, hold(&stage, first, *drips).await));
        }
    }
    let (buyer, spike) = (stage.person().await, stage.sale(json!({})).await);
    stage.buy(&buyer, &spike, 1).await;
    for (kind, connection) in held {
        let answer = connection.await.unwrap();
        if kind.contains("body") {
            assert_closed_with(&answer, "408", "body-timeout", kind);
        } else {
            assert!(!answer.contains("HTTP/1.1 2"), "{kind}: {answer}");
        }
    }
    stage.at_rest(&spike).await;
}
