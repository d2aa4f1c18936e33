//! B8: orders per second through `order-writer` over HTTP on `MariaDB`, over the inserts that they cannot do without.

use std::{sync::Arc, time::Duration};

use domain::{Order, OrderPlaced, Spike};
use http::StatusCode;
use race::client::Request;
use sqlx::{Connection, MySql, MySqlConnection, QueryBuilder};
use tokio::time::Instant;

use crate::{
    bare::{self, Server},
    compare::{Bound, Finding, aba},
    load,
    parts::Parts,
};

/// Orders of one measurement.
const ORDERS: u32 = 51_200;

/// B8.
pub(crate) async fn orders() -> anyhow::Result<Vec<Finding>> {
    let parts = Parts::start().await?;
    let server = store::testing::mariadb();
    let url = server.database().await;
    let store = store::prepare(&url).await?;
    let writer = order_writer::AppState::new(Arc::clone(&store), parts.stock.clone());
    let writer = bare::shipped(order_writer::router(writer)).await?;
    let mut raw = MySqlConnection::connect(url.as_str()).await?;
    let sale = async || {
        let sale = parts.sale_in(&*store, ORDERS).await?;
        anyhow::Ok((parts.events(sale.id, 1, ORDERS), sale))
    };
    let compared = aba(
        "B8 orders/s on MariaDB",
        async || {
            let (events, sale) = sale().await?;
            insert_all(&mut raw, &sale, &events, &parts).await
        },
        async || deliver_all(&writer, &sale().await?.0).await,
    )
    .await?;
    raw.close().await?;
    parts.stop().await?;
    let details = format!(
        "{:.0}/s of {:.0}/s, {} deliveries at once",
        compared.b,
        compared.a,
        load::CONNECTIONS
    );
    let finding = Finding::new(
        "B8 orders on MariaDB over multi-row inserts",
        compared.ratio(),
        Bound::Least(0.60),
        details,
    );
    Ok(vec![finding.noisy(compared.noisy)])
}

/// Orders per second as a Knative broker delivers them: an event a request.
async fn deliver_all(writer: &Server, events: &[OrderPlaced]) -> anyhow::Result<f64> {
    let deliveries = events.iter().map(|event| {
        let event = events::envelope::write(event);
        Request::post("/events/order-placed").body("application/cloudevents+json", event)
    });
    let deliveries = Arc::new(deliveries.collect());
    load::once(&writer.base_url, &deliveries, StatusCode::NO_CONTENT).await
}

/// Orders per second in transactions of as many orders as are delivered at once: one statement for the orders, one for their
/// claims, as the adapter writes them.
async fn insert_all(
    connection: &mut MySqlConnection,
    sale: &Spike,
    events: &[OrderPlaced],
    parts: &Parts,
) -> anyhow::Result<f64> {
    let begun_at = Instant::now();
    for batch in events.chunks(load::CONNECTIONS) {
        let now = parts.stock.now();
        let placed =
            |event| Order::placed(event, sale.settings.price, now, Duration::from_mins(15));
        let orders: Vec<Order> = batch.iter().map(placed).collect();
        sqlx::raw_sql("START TRANSACTION")
            .execute(&mut *connection)
            .await?;
        insert_orders(&orders)
            .build()
            .execute(&mut *connection)
            .await?;
        insert_claims(&orders)
            .build()
            .execute(&mut *connection)
            .await?;
        sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    }
    Ok(f64::from(ORDERS) / begun_at.elapsed().as_secs_f64())
}

fn insert_orders(orders: &[Order]) -> QueryBuilder<MySql> {
    let mut insert = QueryBuilder::new(
        "INSERT INTO orders (id, spike_id, user_id, quantity, units, state, total_minor, currency, placed_at, pay_by, \
         released, due_at, written_by) ",
    );
    insert.push_values(orders, |mut row, order| {
        row.push_bind(order.id.as_bytes().to_vec())
            .push_bind(order.spike_id.as_bytes().to_vec())
            .push_bind(order.user_id.as_bytes().to_vec())
            .push_bind(order.quantity)
            .push_bind(order.units.to_string())
            .push_bind(order.state.as_str())
            .push_bind(order.total.amount_minor)
            .push_bind(order.total.currency.to_string())
            .push_bind(order.placed_at.as_millis())
            .push_bind(order.pay_by.as_millis())
            .push_bind(false)
            .push_bind(order.pay_by.as_millis())
            .push_bind(order.id.as_bytes().to_vec());
    });
    insert
}

fn insert_claims(orders: &[Order]) -> QueryBuilder<MySql> {
    let mut insert =
        QueryBuilder::new("INSERT INTO claims (spike_id, kind, item, order_id, user_id) ");
    let places = orders.iter().map(|order| {
        let item = order.user_id.as_bytes().to_vec();
        (1_u8, item, order)
    });
    let units = orders.iter().flat_map(|order| {
        let items = order.units.iter().map(|unit| unit.to_be_bytes().to_vec());
        items.map(move |item| (2_u8, item, order))
    });
    insert.push_values(places.chain(units), |mut row, (kind, item, order)| {
        row.push_bind(order.spike_id.as_bytes().to_vec())
            .push_bind(kind)
            .push_bind(item)
            .push_bind(order.id.as_bytes().to_vec())
            .push_bind(order.user_id.as_bytes().to_vec());
    });
    insert
}
