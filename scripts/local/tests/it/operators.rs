//! What operators see: one trace from the buyer's request to the written order, and metrics beside it.

use std::time::Duration;

use runtime::testing::collector::{Collector, Span};

use super::*;

/// After this a process that has not ended never will.
const HANGS: Duration = Duration::from_mins(2);
/// The trace that a buyer's own software has begun.
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn start_exporting(data: &Path, endpoint: &str) -> Process {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
    ];
    let started = Process::start_with(Path::new(BINARY), data, &variables);
    started.await.unwrap()
}

/// Posts, until the answer is a success; its body.
async fn posted(url: &str, token: &str, body: &Value) -> Value {
    for _ in 0..200 {
        let request = Client::new().post(url).bearer_auth(token).json(body);
        let answer = request
            .header("traceparent", TRACEPARENT)
            .send()
            .await
            .unwrap();
        if answer.status().is_success() {
            return answer.json().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{url} is refused");
}

async fn logged_in(base_url: &str, username: &str, password: &str) -> String {
    let account = json!({ "username": username, "password": password });
    let session = posted(&format!("{base_url}/users/login"), "", &account).await;
    session["access_token"].as_str().unwrap().to_owned()
}

/// Buys one unit of a new spike; the spike, and the buyer's token.
async fn buy(process: &Process) -> (String, String) {
    let base = &process.base_url;
    let admin = std::fs::read_to_string(process.data.join("admin")).unwrap();
    let (name, password) = admin.trim().split_once(':').unwrap();
    let admin = logged_in(base, name, password).await;
    let now = runtime::clock::system()();
    let settings = json!({
        "name": "Sneakers", "description": "", "stock": 5, "limit_per_user": 1,
        "price": { "amount_minor": 4900, "currency": "EUR" },
        "starts_at": now, "ends_at": now + Duration::from_hours(1),
    });
    let made = posted(&format!("{base}/admin/spikes"), &admin, &settings).await;
    let spike = made["spike_id"].as_str().unwrap().to_owned();
    refresh_token(base).await;
    let buyer = logged_in(base, "ada", "sneakers for everybody").await;
    let token = posted(&format!("{base}/spikes/{spike}/token"), &buyer, &json!({})).await;
    let token = token["token"].as_str().unwrap();
    let orders = format!("{base}/spikes/{spike}/orders/{token}");
    posted(&orders, &buyer, &json!({ "quantity": 1 })).await;
    (spike, buyer)
}

async fn written(process: &Process, spike: &str, buyer: &str) {
    let url = format!("{}/spikes/{spike}/order", process.base_url);
    for _ in 0..200 {
        let answer = Client::new().get(&url).bearer_auth(buyer).send().await;
        let order: Value = answer.unwrap().json().await.unwrap();
        if order["state"] == "placed" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the order is not written");
}

#[tokio::test]
async fn one_trace_goes_from_the_purchase_to_the_written_order() {
    let collector = Collector::start();
    let data = tempfile::tempdir().unwrap();
    let process = start_exporting(data.path(), &collector.endpoint).await;
    let (spike, buyer) = buy(&process).await;
    written(&process, &spike, &buyer).await;

    let is_accepted = |span: &Span| {
        span.name == "POST /spikes/{}/orders/{}"
            && span.attributes["http.response.status_code"] == "202"
    };
    let purchase = collector.span(is_accepted).await;
    assert_eq!(purchase.service, "local");
    assert_eq!(
        (purchase.parent_id.as_str(), &purchase.links[..]),
        ("", &[TRACE_ID.to_owned()][..]),
        "the buyer's own trace is linked"
    );
    let trace_id = &purchase.trace_id;
    assert_ne!(trace_id, TRACE_ID);
    let of_trace = |name: &'static str| {
        let is_it = move |span: &Span| span.name == name && span.trace_id == *trace_id;
        collector.span(is_it)
    };
    let reserve = of_trace("reserve").await;
    assert_eq!(reserve.parent_id, purchase.span_id);
    let write = of_trace("order.write").await;
    assert_eq!(
        write.parent_id, purchase.span_id,
        "continued across the queue"
    );
    let in_trace = |id: &str| collector.spans().iter().any(|span| span.span_id == id);
    assert_eq!(write.links.len(), 1, "the delivery, a trace of its own");
    let transaction = collector
        .span(|span| span.trace_id == *trace_id && span.name == "TransactWriteItems")
        .await;
    assert!(in_trace(&transaction.parent_id));
    let acknowledged = of_trace("ack").await;
    assert_eq!(acknowledged.parent_id, write.span_id);

    // The gauges are the sweeper's, which runs every two seconds.
    for _ in 0..200 {
        let free = collector.sum("spike.units.free", &[("spike.id", &spike)]);
        if (free - 4.0).abs() < 0.1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    process.stop().await.unwrap();
    was_counted(&collector, &spike);
    let said = format!("{:?}", collector.spans());
    assert!(!said.contains(&buyer), "no token leaves");
}

/// What one purchase counts for.
fn was_counted(collector: &Collector, spike: &str) {
    for (name, attributes, value) in [
        (
            "spike.purchases",
            &[("step", "publish"), ("outcome", "accepted")][..],
            1.0,
        ),
        (
            "spike.events.published",
            &[("by", "buyer"), ("outcome", "acked")],
            1.0,
        ),
        ("spike.orders.written", &[("outcome", "placed")], 1.0),
        ("spike.queue.lag", &[], 1.0),
        ("spike.units.free", &[("spike.id", spike)], 4.0),
        ("spike.orders.rejected_on_offer", &[], 0.0),
    ] {
        let sum = collector.sum(name, attributes);
        assert!((sum - value).abs() < 0.1, "{name}: {sum}");
    }
    assert!(
        collector.sum(
            "spike.stock.duration",
            &[("call", "reserve"), ("outcome", "ok")]
        ) >= 1.0
    );
    assert!(collector.sum("spike.store.duration", &[("call", "TransactWriteItems")]) >= 1.0);
}

#[tokio::test]
async fn an_endpoint_that_is_away_costs_a_sale_nothing() {
    // Takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    for endpoint in [
        format!("http://{}", silent.local_addr().unwrap()),
        "http://127.0.0.1:1".to_owned(),
        "https://not.supported:4318".to_owned(),
    ] {
        let data = tempfile::tempdir().unwrap();
        let process = start_exporting(data.path(), &endpoint).await;
        let (spike, buyer) = buy(&process).await;
        written(&process, &spike, &buyer).await;
        // It ends at all: whoever waits for such an endpoint waits for ever.
        let ended = tokio::time::timeout(HANGS, process.stop()).await;
        ended.expect(&endpoint).unwrap();
    }
}
