//! A collector of traces and metrics: a server that takes OTLP over HTTP and shows what came.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value},
    metrics::v1::{metric, number_data_point},
    resource::v1::Resource,
    trace::v1::Span as Sent,
};
use prost::Message;

use crate::{Limits, app, server, telemetry};

/// A span that arrived. Ids are in hexadecimal; the parent of a root is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// `service.name`.
    pub service: String,
    /// Its name.
    pub name: String,
    /// The trace.
    pub trace_id: String,
    /// The span itself.
    pub span_id: String,
    /// What it is a part of.
    pub parent_id: String,
    /// The traces that it is linked to.
    pub links: Vec<String>,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
}

/// A series of a metric that arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// `service.name`.
    pub service: String,
    /// `service.instance.id`.
    pub instance: String,
    /// The metric's name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The series' attributes.
    pub attributes: BTreeMap<String, String>,
    /// The sum, the last value, or how many values a histogram has.
    pub value: f64,
}

/// What has arrived so far.
#[derive(Debug, Default)]
struct Arrived {
    spans: Vec<Span>,
    series: Vec<Series>,
    requests: usize,
}

/// A running collector.
#[derive(Clone)]
pub struct Collector {
    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` has to be.
    pub endpoint: String,
    arrived: Arc<Mutex<Arrived>>,
}

impl Collector {
    /// Starts one that takes everything. Called on a runtime.
    pub fn start() -> Self {
        let arrived = Arc::<Mutex<Arrived>>::default();
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .with_state(arrived.clone());
        let listener = server::listen(([127, 0, 0, 1], 0).into()).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let limits = Limits {
            body_bytes: 16 * 1024 * 1024,
            ..Limits::default()
        };
        let app = app::app_with(router, limits.clone());
        tokio::spawn(server::serve_on(
            listener,
            app,
            limits,
            std::future::pending(),
        ));
        Self { endpoint, arrived }
    }

    /// Does something while this process exports to the collector; afterwards all that was counted has arrived. Once in a
    /// process, since instruments are started once.
    pub async fn watching<T>(&self, something: impl Future<Output = T>) -> T {
        let stop = telemetry::export_to(&self.endpoint).unwrap();
        let answer = something.await;
        tokio::task::spawn_blocking(stop).await.unwrap();
        answer
    }

    /// The spans that have arrived.
    pub fn spans(&self) -> Vec<Span> {
        self.arrived.lock().unwrap().spans.clone()
    }

    /// The series as each was sent last.
    pub fn series(&self) -> Vec<Series> {
        self.arrived.lock().unwrap().series.clone()
    }

    /// How many requests have arrived.
    pub fn requests(&self) -> usize {
        self.arrived.lock().unwrap().requests
    }

    /// The sum over the series of this name that have these attributes.
    pub fn sum(&self, name: &str, attributes: &[(&str, &str)]) -> f64 {
        let has = |series: &Series, (key, value): &(&str, &str)| {
            series.attributes.get(*key).is_some_and(|it| it == value)
        };
        let series = self.series().into_iter();
        let series =
            series.filter(|it| it.name == name && attributes.iter().all(|pair| has(it, pair)));
        series.map(|it| it.value).sum()
    }

    /// The first span of which this is true, waited for.
    pub async fn span(&self, is_it: impl Fn(&Span) -> bool) -> Span {
        for _ in 0..200 {
            if let Some(span) = self.spans().into_iter().find(&is_it) {
                return span;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it never came; these did: {:#?}", self.spans());
    }
}

async fn traces(State(arrived): State<Arc<Mutex<Arrived>>>, body: Bytes) -> StatusCode {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut arrived = arrived.lock().unwrap();
    arrived.requests += 1;
    for of_resource in request.resource_spans {
        let service = service(of_resource.resource);
        for span in of_resource.scope_spans.into_iter().flat_map(|it| it.spans) {
            arrived.spans.push(self::span(&service, span));
        }
    }
    StatusCode::OK
}

fn span(service: &str, sent: Sent) -> Span {
    Span {
        service: service.to_owned(),
        name: sent.name,
        trace_id: hex(&sent.trace_id),
        span_id: hex(&sent.span_id),
        parent_id: hex(&sent.parent_span_id),
        links: sent.links.iter().map(|link| hex(&link.trace_id)).collect(),
        attributes: texts(sent.attributes),
    }
}

async fn metrics(State(arrived): State<Arc<Mutex<Arrived>>>, body: Bytes) -> StatusCode {
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    let mut arrived = arrived.lock().unwrap();
    arrived.requests += 1;
    for of_resource in request.resource_metrics {
        let resource = texts(of_resource.resource.unwrap().attributes);
        for metric in of_resource
            .scope_metrics
            .into_iter()
            .flat_map(|it| it.metrics)
        {
            let values = match metric.data {
                Some(metric::Data::Sum(sum)) => numbers(sum.data_points),
                Some(metric::Data::Gauge(gauge)) => numbers(gauge.data_points),
                Some(metric::Data::Histogram(histogram)) => histogram
                    .data_points
                    .into_iter()
                    .map(|point| {
                        (
                            texts(point.attributes),
                            u32::try_from(point.count).unwrap().into(),
                        )
                    })
                    .collect(),
                other => panic!("{other:?}"),
            };
            for (attributes, value) in values {
                let series = Series {
                    service: resource["service.name"].clone(),
                    instance: resource["service.instance.id"].clone(),
                    name: metric.name.clone(),
                    unit: metric.unit.clone(),
                    attributes,
                    value,
                };
                arrived.series.retain(|old| {
                    (&old.instance, &old.name, &old.attributes)
                        != (&series.instance, &series.name, &series.attributes)
                });
                arrived.series.push(series);
            }
        }
    }
    StatusCode::OK
}

fn numbers(
    points: Vec<opentelemetry_proto::tonic::metrics::v1::NumberDataPoint>,
) -> Vec<(BTreeMap<String, String>, f64)> {
    let value = |value| match value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        Some(number_data_point::Value::AsInt(value)) => i32::try_from(value).unwrap().into(),
        None => f64::NAN,
    };
    let points = points.into_iter();
    points
        .map(|point| (texts(point.attributes), value(point.value)))
        .collect()
}

fn service(resource: Option<Resource>) -> String {
    let attributes = texts(resource.unwrap().attributes);
    attributes["service.name"].clone()
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let attributes = attributes.into_iter();
    attributes.map(|it| (it.key, text(it.value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
