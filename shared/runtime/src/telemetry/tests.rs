//! Exporting to a collector, to one that is away, and not at all.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
    routing::get,
};
use opentelemetry::{
    metrics::MeterProvider as _,
    trace::{Tracer as _, TracerProvider as _},
};
use tokio::net::TcpListener;
use tower::ServiceExt as _;
use tracing::{Level, instrument::WithSubscriber as _};

use super::*;
use crate::testing::collector::Collector;

fn pipeline(endpoint: &str) -> Pipeline {
    Pipeline::start("tested", endpoint, &Handle::current()).unwrap()
}

async fn stopped(pipeline: Pipeline) {
    let stop = tokio::task::spawn_blocking(move || pipeline.stop());
    stop.await.unwrap();
}

/// An address at which nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn levels_are_of_everything_and_of_targets() {
    let levels = filter(Some("warn,spike=debug"));
    assert!(levels.would_enable("spike::reserve", &Level::DEBUG));
    assert!(!levels.would_enable("spike::reserve", &Level::TRACE));
    assert!(levels.would_enable("sqlx", &Level::WARN));
    assert!(!levels.would_enable("sqlx", &Level::INFO));
    for unreadable in [None, Some("spike=loud")] {
        let levels = filter(unreadable);
        assert!(levels.would_enable("spike", &Level::INFO), "{unreadable:?}");
        assert!(
            !levels.would_enable("spike", &Level::DEBUG),
            "{unreadable:?}"
        );
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_the_endpoint_is_refused_in_words() {
    for (endpoint, said) in [
        ("collector:4318", "not an http:// URL"),
        ("https://collector:4318", "not an http:// URL"),
        ("nonsense", "not a URL"),
    ] {
        let refused = Pipeline::start("tested", endpoint, &Handle::current());
        let said_so = refused.err().unwrap().to_string();
        assert_eq!(said_so, said, "{endpoint}");
    }
}

/// Of a process that may be frozen after it.
#[cfg(feature = "aws")]
fn what_waits_is_there_when_a_flush_is_over(exporting: &Pipeline, collector: &Collector) {
    let tracer = exporting.tracers.tracer("spike");
    tracer.in_span("invoked", |_| ());
    tokio::task::block_in_place(|| exporting.flush());
    let spans = collector.spans();
    assert!(spans.iter().any(|it| it.name == "invoked"), "{spans:?}");
    assert!(!collector.series().is_empty());
}

/// One test, because instruments are started once in a process.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_measured_arrives_and_what_is_lost_is_counted() {
    let collector = Collector::start();
    let exporting = pipeline(&format!("{}/", collector.endpoint));
    observe::CONFLICTS.add(2, [&"some-spike"]);
    observe::QUEUE_LAG.record(0.5, []);
    observe::FREE.replace([("some-spike".to_owned(), 7.0), ("over".to_owned(), 1.0)]);
    observe::FREE.replace([("some-spike".to_owned(), 6.0)]);
    assert!(!observe::STOCK.begin().is_stopped());

    #[cfg(feature = "aws")]
    what_waits_is_there_when_a_flush_is_over(&exporting, &collector);

    // A second one, whose endpoint is away: the spans are lost, and nobody waits for it.
    let lost = pipeline(&nobody().await);
    let tracer = lost.tracers.tracer("spike");
    for _ in 0..10_000 {
        tracer.in_span("lost", |_| ());
    }
    // It ends at all: whoever waits for such an endpoint waits for ever.
    let ended = tokio::time::timeout(Duration::from_mins(2), stopped(lost)).await;
    ended.expect("an end without the endpoint");

    let subscriber = tracing_subscriber::registry().with(spans_to(&exporting));
    let request = async {
        // As `App::answer` does it once an endpoint is set.
        let request = Request::get("/spikes/7/orders/1234567890123456789012");
        let request = request.header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        );
        let router = Router::new().route("/spikes/{id}/orders/{token}", get(inside));
        let app = crate::app(router);
        let answer = app.traced(request.body(Body::empty()).unwrap());
        assert_eq!(answer.await.status(), StatusCode::OK);
        // As behind an edge that is trusted.
        let request = Request::get("/").header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        );
        drop(trace::request(&request.body(Body::empty()).unwrap(), true));
    };
    request.with_subscriber(subscriber).await;
    stopped(exporting).await;

    let spans = collector.spans();
    let sums = collector.series();
    let request = spans
        .iter()
        .find(|it| it.name == "GET /spikes/{}/orders/{}")
        .unwrap_or_else(|| panic!("{spans:#?} {sums:#?}"));
    assert_eq!(request.service, "tested");
    let callers = "0af7651916cd43dd8448eb211c80319c";
    assert_ne!(request.trace_id, callers, "a client decides nothing");
    assert_eq!(
        (request.parent_id.as_str(), &request.links[..]),
        ("", &[callers.to_owned()][..])
    );
    let trusted = spans.iter().find(|it| it.trace_id == callers).unwrap();
    assert_eq!(trusted.parent_id, "b7ad6b7169203331");
    assert_eq!(request.attributes["http.response.status_code"], "200");
    let text = format!("{spans:?}");
    assert!(
        !text.contains("1234567890123456789012"),
        "a token left: {text}"
    );

    assert!(
        (collector.sum("spike.unit.conflicts", &[("spike.id", "some-spike")]) - 2.0).abs() < 0.1
    );
    assert!(
        (collector.sum("spike.queue.lag", &[]) - 1.0).abs() < 0.1,
        "one value"
    );
    assert!(
        (collector.sum("spike.units.free", &[]) - 6.0).abs() < 0.1,
        "replaced as a whole"
    );
    assert!((collector.sum("spike.telemetry.spans.lost", &[]) - 10_000.0).abs() < 0.1);
    assert!(collector.sum("spike.telemetry.exports.failed", &[("signal", "traces")]) >= 1.0);
    two_processes_of_one_function_are_two_series().await;
}

async fn two_processes_of_one_function_are_two_series() {
    let collector = Collector::start();
    for count in [1, 2] {
        let process = pipeline(&collector.endpoint);
        let meter = process.meters.meter("spike");
        let counter = meter.u64_counter("tested.events");
        counter.build().add(count, &[]);
        stopped(process).await;
    }
    let series = collector.series();
    let mut counts: Vec<f64> = series
        .iter()
        .filter(|it| it.name == "tested.events")
        .map(|it| it.value)
        .collect();
    counts.sort_by(f64::total_cmp);
    assert_eq!(counts, [1.0, 2.0], "{series:#?}");
}

/// Says in its body which trace it is in.
async fn inside() -> String {
    let trace = observe::traceparent().unwrap();
    assert!(!trace.contains("0af7651916cd43dd8448eb211c80319c"));
    trace
}

#[tokio::test]
async fn without_an_endpoint_there_is_no_trace() {
    let router = Router::new().route(
        "/",
        get(async || observe::traceparent().unwrap_or_default()),
    );
    let request = Request::get("/").header(
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    );
    let answer = crate::app(router)
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let body = axum::body::to_bytes(answer.into_body(), 100).await.unwrap();
    assert!(body.is_empty() && !traces(), "{body:?}");
    stop().await;
}
