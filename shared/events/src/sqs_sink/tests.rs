//! The sink against a queue of our own that speaks AWS JSON 1.0, refuses, hangs, or drops the connection.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use axum::{
    Router,
    body::Bytes as Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpListener};

use super::*;
use crate::conformance;

const PATH: &str = "/123456789012/spike-orders";

/// What the queue has taken, and the requests that it got.
#[derive(Default)]
struct Taken {
    events: Mutex<Vec<OrderPlaced>>,
    sizes: Mutex<Vec<usize>>,
}

/// A queue that refuses `poison`, and takes everything else.
async fn queue(poison: Option<(OrderPlaced, bool)>) -> (SqsSink, Arc<Taken>) {
    let taken = Arc::new(Taken::default());
    let take = async move |State(taken): State<Arc<Taken>>, headers: HeaderMap, body: Body| {
        assert_eq!(headers["x-amz-target"], "AmazonSQS.SendMessageBatch");
        assert_eq!(headers["content-type"], "application/x-amz-json-1.0");
        let signature = headers["authorization"].to_str().unwrap();
        assert!(
            signature.contains("/eu-central-1/sqs/aws4_request"),
            "{signature}"
        );
        let request: Value = serde_json::from_slice(&body).unwrap();
        assert!(request["QueueUrl"].as_str().unwrap().ends_with(PATH));
        let entries = request["Entries"].as_array().unwrap();
        taken.sizes.lock().unwrap().push(entries.len());
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for entry in entries {
            let event =
                envelope::read_structured(entry["MessageBody"].as_str().unwrap().as_bytes())
                    .unwrap();
            match &poison {
                Some((poison, sender)) if *poison == event => {
                    failed.push(
                        json!({"Id": entry["Id"], "Code": "InternalError", "SenderFault": sender}),
                    );
                }
                _ => {
                    done.push(
                        json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "0"}),
                    );
                    taken.events.lock().unwrap().push(event);
                }
            }
        }
        json!({"Successful": done, "Failed": failed}).to_string()
    };
    (
        sink_to(
            Router::new()
                .route("/", post(take))
                .with_state(Arc::clone(&taken)),
        )
        .await,
        taken,
    )
}

async fn sink_to(router: Router) -> SqsSink {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = sink_at(&listener);
    tokio::spawn(async move { axum::serve(listener, router).await });
    sink
}

fn sink_at(listener: &TcpListener) -> SqsSink {
    let url = format!("sqs+http://{}{PATH}", listener.local_addr().unwrap());
    let region = Some("eu-central-1".to_owned());
    let queue = Queue::read(&url.parse().unwrap(), None, region).unwrap();
    SqsSink::to(
        queue,
        aws::Credentials::new("id", "key", None, None, "test"),
    )
}

/// A queue that reads what comes, and then closes the connection or keeps it without a word; from connection `honest` on it
/// answers.
async fn silent(hang: bool, honest: u32) -> (SqsSink, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = sink_at(&listener);
    let connections = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            let mut request = vec![0; 16 * 1024];
            let _ = socket.read(&mut request).await;
            if number >= honest {
                let answer = r#"{"Successful":[{"Id":"0","MessageId":"m","MD5OfMessageBody":"0"}],"Failed":[]}"#;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}",
                    answer.len()
                );
                let _ = tokio::io::AsyncWriteExt::write_all(&mut socket, answer.as_bytes()).await;
            }
            if hang || number >= honest {
                kept.push(socket);
            }
        }
    });
    (sink, connections)
}

#[tokio::test]
async fn what_is_acknowledged_has_arrived() {
    let (sink, taken) = queue(None).await;
    let arrived = async || taken.events.lock().unwrap().clone();
    conformance::what_is_acknowledged_has_arrived(&sink, arrived).await;
    assert_eq!(*taken.sizes.lock().unwrap(), [10, 10, 10, 10]);
}

#[tokio::test]
async fn a_refusal_is_no_acknowledgement() {
    for status in [
        StatusCode::BAD_REQUEST,
        StatusCode::FORBIDDEN,
        StatusCode::SERVICE_UNAVAILABLE,
    ] {
        let refuse = async move || {
            (
                status,
                r#"{"__type":"com.amazonaws.sqs#RequestThrottled","message":"no"}"#,
            )
        };
        let sink = sink_to(Router::new().route("/", post(refuse))).await;
        conformance::a_refusal_is_no_acknowledgement(&sink).await;
    }
}

#[tokio::test]
async fn fault_08_neighbours_of_a_refused_event_are_unharmed() {
    for (senders_fault, status) in [(true, 400), (false, 503)] {
        let poison = conformance::event(5);
        let (sink, _) = queue(Some((poison.clone(), senders_fault))).await;
        conformance::neighbours_of_a_refused_event_are_unharmed(&sink, &poison).await;
        let refused = sink.send(std::slice::from_ref(&poison)).await;
        assert!(
            matches!(refused[..], [Err(SendError::Refused(it))] if it == status),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn an_event_that_the_answer_lacks_is_unconfirmed() {
    let sink =
        sink_to(Router::new().route("/", post(async || r#"{"Successful":[],"Failed":[]}"#))).await;
    conformance::silence_is_no_acknowledgement(&sink).await;
}

#[tokio::test]
async fn fault_03_silence_is_no_acknowledgement_and_is_asked_about_twice() {
    for hang in [true, false] {
        let (sink, connections) = silent(hang, u32::MAX).await;
        conformance::silence_is_no_acknowledgement(&sink).await;
        assert_eq!(connections.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn the_first_send_finds_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = sink_at(&listener);
    // There is no second connection.
    let first = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        for _ in 0..2 {
            let mut request = vec![0; 16 * 1024];
            let length = socket.read(&mut request).await.unwrap();
            let line = request[..length].split(|byte| *byte == b'\r').next();
            asked.push(String::from_utf8(line.unwrap().to_vec()).unwrap());
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}";
            tokio::io::AsyncWriteExt::write_all(&mut socket, answer)
                .await
                .unwrap();
        }
        asked
    });
    sink.warm().await;
    assert!(sink.send(&[conformance::event(1)]).await[0].is_err());
    let asked = first.await.unwrap();
    assert_eq!(asked, ["GET /ping HTTP/1.1", "POST / HTTP/1.1"]);
}

#[tokio::test]
async fn a_connection_that_is_gone_is_replaced_within_the_same_send() {
    for hang in [true, false] {
        let (sink, connections) = silent(hang, 1).await;
        assert!(sink.send(&[conformance::event(1)]).await[0].is_ok());
        assert_eq!(connections.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn fault_04_a_queue_that_is_away_is_not_asked_each_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = sink_at(&listener);
    drop(listener);
    for _ in 0..5 {
        conformance::silence_is_no_acknowledgement(&sink).await;
    }
    let refused = sink.send(&[conformance::event(1)]).await;
    assert!(
        matches!(&refused[..], [Err(SendError::Unconfirmed(why))] if why.is::<Open>()),
        "{refused:?}"
    );
}

#[test]
fn a_queue_is_named_by_its_address() {
    let read = |url: &str, elsewhere: Option<&str>, region: Option<&str>| {
        let elsewhere = elsewhere.map(|url| url.parse().unwrap());
        Queue::read(
            &url.parse().unwrap(),
            elsewhere.as_ref(),
            region.map(str::to_owned),
        )
        .ok()
    };
    let queue = |url: &str, endpoint: &str, region: &str| {
        Some(Queue {
            url: url.to_owned(),
            endpoint: endpoint.to_owned(),
            region: region.to_owned(),
        })
    };
    let at_aws = "https://sqs.eu-west-1.amazonaws.com/1/q";
    let named = format!("sqs+{at_aws}");
    assert_eq!(
        read(&named, None, Some("us-east-1")),
        queue(at_aws, "https://sqs.eu-west-1.amazonaws.com", "eu-west-1")
    );
    assert_eq!(
        read(&named, Some("http://127.0.0.1:9/x"), None),
        queue(at_aws, "http://127.0.0.1:9", "eu-west-1")
    );
    let local = "http://127.0.0.1:9324/1/q";
    assert_eq!(
        read(&format!("sqs+{local}"), None, Some("here")),
        queue(local, "http://127.0.0.1:9324", "here")
    );
    for wrong in [
        "sqs+http://127.0.0.1:9324/1/q",
        "sqs+https://sqs.eu-west-1.amazonaws.com/",
        "sqs+https://sqs.eu-west-1.amazonaws.com/1/q?x=1",
        "sqs+http:q",
    ] {
        assert_eq!(read(wrong, None, None), None, "{wrong}");
    }
}
