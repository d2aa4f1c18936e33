use axum::http::HeaderMap;

use super::{super::event::Message, *};

fn record(id: &str, body: &str) -> Value {
    json!({
        "messageId": id, "receiptHandle": "r", "body": body, "md5OfBody": "0", "awsRegion": "eu-central-1",
        "attributes": {"ApproximateReceiveCount": "11", "SentTimestamp": "1", "SenderId": "s"},
        "messageAttributes": {"traceparent": {"stringValue": "00-1-1-01", "stringListValues": [], "binaryListValues": [], "dataType": "String"}},
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:spike-dead-letters"
    })
}

fn failures(answer: &Value) -> Vec<String> {
    let failures = answer["batchItemFailures"].as_array().unwrap();
    let ids = failures
        .iter()
        .map(|it| it["itemIdentifier"].as_str().unwrap().to_owned());
    let mut ids: Vec<_> = ids.collect();
    ids.sort();
    ids
}

#[tokio::test(start_paused = true)]
async fn fault_07_08_only_the_messages_that_failed_come_again() {
    let batch = [
        ("1", "good"),
        ("2", "poison"),
        ("3", "a panic"),
        ("4", "slow"),
        ("5", "good"),
    ];
    let records: Vec<_> = batch.iter().map(|(id, body)| record(id, body)).collect();
    let calls = Arc::default();
    let answer = invoke_counted(json!({ "Records": records }), &calls)
        .await
        .unwrap();
    assert_eq!(failures(&answer), ["2", "3", "4"]);
    assert_eq!(calls.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_batch_that_is_done_says_so() {
    let answer = invoke(json!({"Records": [record("1", "good"), record("2", "good")]}))
        .await
        .unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
}

#[tokio::test]
async fn messages_of_a_batch_are_worked_on_at_once() {
    let together = Arc::new(tokio::sync::Barrier::new(10));
    let router = Router::new().route(
        "/events/placed",
        on_post(async move || {
            together.wait().await;
            StatusCode::NO_CONTENT
        }),
    );
    let function = Function {
        app: app::app(router),
        ..function(&Arc::default())
    };
    let records: Vec<_> = (0..10).map(|id| record(&id.to_string(), "good")).collect();
    let context = Context::default();
    let answer = function.invoke(json!({ "Records": records }), &context);
    let answer = tokio::time::timeout(Duration::from_mins(1), answer)
        .await
        .unwrap();
    assert!(failures(&answer.unwrap()).is_empty());
}

fn headers(record: Value) -> HeaderMap {
    let message: Message = serde_json::from_value(record).unwrap();
    super::super::queue::request(&message, "/events/placed")
        .headers()
        .clone()
}

#[test]
fn a_message_says_what_it_is_and_why_the_queue_gave_up() {
    let mut letter = record("1", "{}");
    letter["attributes"]["DeadLetterQueueSourceArn"] =
        json!("arn:aws:sqs:eu-central-1:123456789012:spike-orders");
    let headers = headers(letter);
    assert_eq!(
        headers["content-type"],
        "application/cloudevents+json; charset=utf-8"
    );
    assert_eq!(headers["traceparent"], "00-1-1-01");
    let reason = headers["x-spike-reason"].to_str().unwrap();
    assert_eq!(
        reason,
        "the queue spike-orders gave up on it; received 11 times by now"
    );
}

#[test]
fn a_message_with_odd_attributes_is_delivered_all_the_same() {
    let mut odd = record("1", "{}");
    odd["messageAttributes"]["traceparent"] = json!({"binaryValue": "AA==", "dataType": "Binary"});
    odd["attributes"] = json!({});
    let headers = headers(odd);
    assert!(!headers.contains_key("traceparent"));
    assert!(
        headers["x-spike-reason"]
            .to_str()
            .unwrap()
            .contains("spike-dead-letters")
    );
}
