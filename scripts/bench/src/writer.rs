//! B7: orders per second through `order-writer`, over the transactions that it cannot do without.

pub(crate) mod mariadb;

use std::{collections::HashMap, time::Duration};

use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::{AttributeValue, Put, TransactWriteItem},
};
use axum::body::Body;
use domain::{Order, OrderPlaced, Spike};
use http::{Request, header};
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::{
    compare::{Bound, Finding, aba},
    parts::Parts,
};

/// Orders of one delivery.
const BATCH: usize = 10;
/// Orders of one measurement.
const ORDERS: u32 = 3_000;

/// B7.
pub(crate) async fn orders() -> anyhow::Result<Vec<Finding>> {
    let parts = Parts::start().await?;
    let writer = order_writer::AppState::new(parts.store.clone(), parts.stock.clone());
    let writer = runtime::app(order_writer::router(writer));
    let client = client(&parts)?;
    let compared = aba(
        "B7 orders/s",
        async || {
            let sale = parts.sale(ORDERS).await?;
            let events = parts.events(sale.id, 1, ORDERS);
            rate(&events, async |batch| {
                transact(&client, &sale, batch, &parts).await
            })
            .await
        },
        async || {
            let sale = parts.sale(ORDERS).await?;
            let events = parts.events(sale.id, 1, ORDERS);
            rate(&events, async |batch| deliver(&writer, batch).await).await
        },
    )
    .await?;
    parts.stop().await?;
    let details = format!("{:.0}/s of {:.0}/s", compared.b, compared.a);
    let finding = Finding::new(
        "B7 orders written over the raw transaction",
        compared.ratio(),
        Bound::Least(0.60),
        details,
    );
    Ok(vec![finding.noisy(compared.noisy)])
}

/// Orders per second, one batch after the other.
async fn rate(
    events: &[OrderPlaced],
    mut write: impl AsyncFnMut(&[OrderPlaced]) -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let begun_at = Instant::now();
    for batch in events.chunks(BATCH) {
        write(batch).await?;
    }
    Ok(f64::from(ORDERS) / begun_at.elapsed().as_secs_f64())
}

/// The events of one batch, as a queue delivers them: together.
async fn deliver(writer: &runtime::App, batch: &[OrderPlaced]) -> anyhow::Result<()> {
    let deliveries = batch.iter().map(async |event| {
        let request = Request::post("/events/order-placed")
            .header(header::CONTENT_TYPE, "application/cloudevents+json")
            .body(Body::from(events::envelope::write(event)))?;
        let answer = writer
            .clone()
            .oneshot(request)
            .await
            .unwrap_or_else(|never| match never {});
        ensure!(
            answer.status().is_success(),
            "the writer answered {}",
            answer.status()
        );
        anyhow::Ok(())
    });
    futures::future::try_join_all(deliveries).await.map(drop)
}

/// One transaction for all orders of a batch: an item for each order, its buyer's place and its unit.
async fn transact(
    client: &Client,
    sale: &Spike,
    batch: &[OrderPlaced],
    parts: &Parts,
) -> anyhow::Result<()> {
    let now = parts.stock.now();
    let mut puts = Vec::new();
    for event in batch {
        let order = Order::placed(event, sale.settings.price, now, Duration::from_mins(15));
        puts.push(put("orders", order_item(&order))?);
        let (spike, user, units) = (event.spike_id, event.user_id, &event.units);
        for key in [
            format!("{spike}#buyer#{user}"),
            format!("{spike}#unit#{units}"),
        ] {
            let claim = [
                ("id", key),
                ("order_id", event.order_id.to_string()),
                ("user_id", user.to_string()),
            ];
            puts.push(put("claims", texts(claim))?);
        }
    }
    let sent = client
        .transact_write_items()
        .set_transact_items(Some(puts))
        .send()
        .await;
    sent.map(drop).context("the raw transaction")
}

fn order_item(order: &Order) -> HashMap<String, AttributeValue> {
    let mut item = texts([
        ("id", order.id.to_string()),
        ("spike_id", order.spike_id.to_string()),
        ("user_id", order.user_id.to_string()),
        ("units", order.units.to_string()),
        ("state", order.state.as_str().to_owned()),
        ("currency", order.total.currency.to_string()),
    ]);
    let due_shard = i64::from(order.id.as_bytes()[15] % 16);
    let numbers = [
        ("quantity", i64::from(order.quantity)),
        (
            "total_minor",
            i64::try_from(order.total.amount_minor).unwrap_or(i64::MAX),
        ),
        ("placed_at", order.placed_at.as_millis()),
        ("pay_by", order.pay_by.as_millis()),
        ("due_shard", due_shard),
        ("due_at", order.pay_by.as_millis()),
    ];
    let numbers =
        numbers.map(|(name, value)| (name.to_owned(), AttributeValue::N(value.to_string())));
    item.extend(numbers);
    item.insert("released".to_owned(), AttributeValue::Bool(false));
    item
}

fn texts<const N: usize>(values: [(&str, String); N]) -> HashMap<String, AttributeValue> {
    values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value)))
        .collect()
}

fn put(table: &str, item: HashMap<String, AttributeValue>) -> anyhow::Result<TransactWriteItem> {
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(id)")
        .build()?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// A client of the same engine, without our adapter.
fn client(parts: &Parts) -> anyhow::Result<Client> {
    let url = parts.engine.url()?;
    let endpoint = url.as_str().trim_start_matches("dynamodb+").to_owned();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("local"))
        .credentials_provider(Credentials::new("local", "local", None, None, "static"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Ok(Client::from_conf(config))
}
