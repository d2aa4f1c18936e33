//! What Lambda sees of a function: answers to each kind of invocation. The wire itself is `lambda_http`'s.

mod gateway;
mod hostile;
mod queue;

use std::sync::atomic::{AtomicU32, Ordering};

use axum::{
    extract::State,
    http::StatusCode,
    response::IntoResponse,
    routing::{any, get, post as on_post},
};
use domain::Timestamp;
use serde_json::json;

use super::*;

/// The invocation begins at this moment.
const NOW: i64 = 1_800_000_000_000;

/// A function whose private routes count their calls.
pub(super) fn function(calls: &Arc<AtomicU32>) -> Function {
    let router = Router::new()
        .route("/events/placed", on_post(placed))
        .route("/timers/sweep", on_post(sweep))
        .route(
            "/timers/broken",
            on_post(async || StatusCode::SERVICE_UNAVAILABLE),
        )
        .route("/echo/{*rest}", any(echo))
        .route("/bug", get(bug))
        .route("/slow", get(slow))
        .route("/cookies", get(cookies))
        .route("/bytes", get(async || vec![0xff_u8, 0x00]))
        .with_state(Arc::clone(calls));
    Function {
        app: app::app(router),
        events: Some("/events/placed"),
        clock: Arc::new(|| Timestamp::from_millis(NOW)),
    }
}

type Calls = State<Arc<AtomicU32>>;

async fn placed(State(calls): Calls, request: Request) -> Result<StatusCode, Problem> {
    calls.fetch_add(1, Ordering::SeqCst);
    let version = request.version();
    assert_eq!(version, Version::HTTP_2);
    let body = gateway::read(request).await;
    match body["body"].as_str().unwrap() {
        "good" => Ok(StatusCode::NO_CONTENT),
        "poison" => Err(Problem::new(Code::Malformed)),
        "slow" => {
            slow().await;
            Ok(StatusCode::NO_CONTENT)
        }
        other => panic!("{other}"),
    }
}

async fn sweep(State(calls): Calls) -> impl IntoResponse {
    calls.fetch_add(1, Ordering::SeqCst);
    axum::response::Response::new(Body::from(r#"{"spikes":1}"#))
}

async fn echo(request: Request) -> String {
    gateway::read(request).await.to_string()
}

async fn bug() -> &'static str {
    panic!("hunter2")
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_mins(10)).await;
    "late"
}

async fn cookies() -> impl IntoResponse {
    let fields = [
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("vary", "accept"),
        ("vary", "origin"),
    ];
    (axum::response::AppendHeaders(fields), "yes")
}

/// Invokes a function that has five seconds.
pub(super) async fn invoke(payload: Value) -> Result<Value, Failure> {
    invoke_counted(payload, &Arc::default()).await
}

pub(super) async fn invoke_counted(
    payload: Value,
    calls: &Arc<AtomicU32>,
) -> Result<Value, Failure> {
    let mut context = Context::default();
    context.deadline = u64::try_from(NOW).unwrap() + 5_000;
    function(calls).invoke(payload, &context).await
}

#[tokio::test]
async fn a_timer_calls_its_path_and_no_other() {
    let calls = Arc::default();
    let swept = invoke_counted(json!({"path": "/timers/sweep"}), &calls)
        .await
        .unwrap();
    assert_eq!(swept, json!({"spikes": 1}));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    for path in [
        "/events/placed",
        "/echo/x",
        "timers/sweep",
        "/timers/../events/placed",
        "\n",
    ] {
        let failed = invoke_counted(json!({"path": path}), &calls)
            .await
            .unwrap_err();
        assert!(
            ["UnknownEvent", "TimerFailed"].contains(&failed.error_type.as_str()),
            "{path}"
        );
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_timer_that_is_not_answered_with_success_fails_its_invocation() {
    for path in ["/timers/broken", "/timers/unknown"] {
        let failed = invoke(json!({"path": path})).await.unwrap_err();
        assert_eq!(failed.error_type, "TimerFailed");
    }
}

#[tokio::test]
async fn an_unknown_event_is_an_error_that_does_not_quote_it() {
    let rest_api = json!({"path": "/timers/sweep", "httpMethod": "POST", "resource": "/", "requestContext": {}});
    let stream =
        json!({"Records": [{"messageId": "1", "body": "good", "eventSource": "aws:kinesis"}]});
    let half = json!({"version": "2.0", "requestContext": {"http": {"method": "hunter2"}}});
    let unknown = [
        json!(null),
        json!("hunter2"),
        json!([]),
        json!({}),
        json!({"path": 7}),
        json!({"path": "/timers/sweep", "more": "hunter2"}),
        json!({"Records": []}),
        json!({"Records": [{"body": "hunter2"}]}),
        json!({"Records": {"messageId": "hunter2"}}),
        json!({"version": "1.0", "path": "/timers/sweep", "requestContext": {}}),
        rest_api,
        stream,
        half,
    ];
    let calls = Arc::default();
    for payload in unknown {
        let failed = invoke_counted(payload.clone(), &calls).await.unwrap_err();
        assert_eq!(failed.error_type, "UnknownEvent", "{payload}");
        assert!(!failed.error_message.contains("hunter2"));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_function_without_events_refuses_messages() {
    let mut function = function(&Arc::default());
    function.events = None;
    let payload =
        json!({"Records": [{"messageId": "1", "body": "good", "eventSource": "aws:sqs"}]});
    let failed = function
        .invoke(payload, &Context::default())
        .await
        .unwrap_err();
    assert_eq!(failed.error_type, "UnknownEvent");
}

#[test]
fn an_invocation_ends_before_its_deadline_unless_that_is_another_clocks() {
    let function = function(&Arc::default());
    let left = |deadline: i64| {
        let mut context = Context::default();
        context.deadline = u64::try_from(deadline).unwrap();
        function.time_left(&context)
    };
    assert_eq!(left(NOW + 10_000), Duration::from_millis(9_700));
    assert_eq!(left(NOW + 100), Duration::ZERO);
    assert_eq!(left(NOW - 1), LONGEST);
    assert_eq!(left(NOW + 86_400_000), LONGEST);
}
