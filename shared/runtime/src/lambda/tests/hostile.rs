//! What no payload does: reach a private route as a request, be taken for something done, or stop the function.

use bytes::Bytes;
use proptest::{
    collection::vec,
    prelude::{any, *},
};

use super::*;

/// One invocation a line. Those with a method, a path, a message or a timer in them are almost right.
const CORPUS: &str = include_str!("../../../corpus/invocations.jsonl");
/// What a failed invocation may be called.
const FAILURES: [&str; 2] = ["UnknownEvent", "TimerFailed"];

/// Any text, or one that means something to somebody.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[A-Za-z0-9:_-]{0,12}",
        "/(events|timers|echo|\\.\\.|%2e|%2F|/|\\?|#|[a-z]){0,6}",
        "(\\r\\n|[a-z: ]){0,8}",
    ]
}

/// Any JSON of a few levels, with the names that tell invocations apart among its keys.
fn documents() -> impl Strategy<Value = Value> {
    let leaves = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    let keys = prop_oneof![
        texts(),
        prop::sample::select(vec![
            "Records",
            "path",
            "version",
            "rawPath",
            "requestContext",
            "http",
            "method",
            "headers",
            "body",
            "messageId",
            "eventSource",
        ])
        .prop_map(str::to_owned),
    ];
    leaves.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((keys.clone(), inner), 0..6).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// A request as the gateway sends one, of texts that it would never let through.
fn requests() -> impl Strategy<Value = Value> {
    let fields = vec((texts(), texts()), 0..4);
    (
        (texts(), texts(), texts()),
        fields,
        vec(texts(), 0..2),
        any::<bool>(),
        texts(),
    )
        .prop_map(|((method, path, query), fields, cookies, is_base64, body)| {
            let headers: serde_json::Map<String, Value> = fields
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect();
            json!({
                "version": "2.0", "rawPath": path, "rawQueryString": query, "headers": headers, "cookies": cookies,
                "requestContext": { "http": { "method": method } }, "body": body, "isBase64Encoded": is_base64,
            })
        })
}

/// A message of SQS, and whether it can be done.
fn messages() -> impl Strategy<Value = (String, bool, Value)> {
    let body = prop_oneof![Just("good".to_owned()), Just("poison".to_owned()), texts()];
    (texts(), body, texts(), texts()).prop_map(|(id, body, count, trace)| {
        let message = json!({
            "messageId": id, "body": body, "eventSource": "aws:sqs", "attributes": { "ApproximateReceiveCount": count },
            "messageAttributes": { "traceparent": { "stringValue": trace, "dataType": "String" } },
        });
        (id, body == "good", message)
    })
}

/// Does something on a runtime of its own.
fn alone<T>(what: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build();
    runtime.unwrap().block_on(what)
}

/// Invokes the function; the answer, and how often a private route was called.
fn invoke_alone(payload: Value) -> (Result<Value, Failure>, u32) {
    let calls = Arc::default();
    let answer = alone(invoke_counted(payload, &calls));
    (answer, calls.load(Ordering::SeqCst))
}

/// Takes what is good.
fn picky() -> Function {
    let take = async |body: Bytes| match &body[..] {
        b"good" => StatusCode::NO_CONTENT,
        _ => StatusCode::BAD_REQUEST,
    };
    Function {
        app: app::app(Router::new().route("/events/placed", on_post(take))),
        ..function(&Arc::default())
    }
}

fn is_answer_or_named_failure(payload: &Value) {
    match invoke_alone(payload.clone()).0 {
        Ok(answer) => assert!(answer.is_object(), "{payload}: {answer}"),
        Err(failed) => assert!(
            FAILURES.contains(&failed.error_type.as_str()),
            "{payload}: {failed:?}"
        ),
    }
}

#[test]
fn fault_22_no_payload_of_the_corpus_stops_the_function() {
    let mut total = 0;
    for line in CORPUS.lines() {
        let payload: Value = serde_json::from_str(line).unwrap();
        is_answer_or_named_failure(&payload);
        if payload.get("requestContext").is_some() {
            assert_eq!(invoke_alone(payload).1, 0, "{line}");
        }
        total += 1;
    }
    assert!(total > 100, "{total}");
}

proptest! {
    #[test]
    fn fault_22_no_payload_stops_the_function(payload in documents()) {
        is_answer_or_named_failure(&payload);
    }

    #[test]
    fn fault_22_no_request_of_the_gateway_reaches_the_inside_or_goes_unanswered(payload in requests()) {
        let (answer, calls) = invoke_alone(payload);
        let answer = answer.unwrap();
        prop_assert_eq!(calls, 0);
        prop_assert!((100..600).contains(&answer["statusCode"].as_u64().unwrap()), "{}", answer);
    }

    #[test]
    fn fault_07_of_any_batch_those_messages_fail_that_are_not_done(batch in vec(messages(), 1..6)) {
        let mut due: Vec<String> = batch
            .iter()
            .filter(|(_, is_good, _)| !is_good)
            .map(|(id, _, _)| id.clone())
            .collect();
        let records: Vec<Value> = batch.into_iter().map(|(_, _, message)| message).collect();
        let payload = json!({ "Records": records });
        let answer = alone(picky().invoke(payload, &Context::default())).unwrap();
        let failed = answer["batchItemFailures"].as_array().unwrap().iter();
        let failed = failed.map(|item| item["itemIdentifier"].as_str().unwrap().to_owned());
        let mut failed: Vec<String> = failed.collect();
        // They are done in any order.
        due.sort();
        failed.sort();
        prop_assert_eq!(failed, due);
    }
}
