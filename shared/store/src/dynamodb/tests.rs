//! The adapter against the embedded engine: all promises of the port, answers that this engine never gives, and items
//! that nobody should have written.

mod corrupt;
mod cursors;
mod faults;
mod lost_answers;
mod saboteur;

use domain::{Order, OrderState, RejectReason};
use futures::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::DynamoStore;
use crate::{
    ConnectError, Error, Orders, Spikes,
    conformance::samples::{order_id, placed_by, spike, user_id},
};

crate::promises!(crate::testing::dynamo_store);

#[tokio::test]
async fn only_addresses_of_engines_are_connected_to() {
    let connect = async |url: &str| crate::connect(&url.parse().unwrap()).await.map(drop);
    assert_eq!(connect("dynamodb+http://127.0.0.1:8000").await, Ok(()));
    assert_eq!(connect("dynamodb+http://127.0.0.1:8000/").await, Ok(()));
    assert_eq!(
        connect("postgres://127.0.0.1").await,
        Err(ConnectError::Scheme("postgres".into()))
    );
    for url in [
        "dynamodb+http://127.0.0.1",
        "dynamodb+http:x",
        "dynamodb+http://h:1/t",
        "dynamodb+http://h:1?x=1",
        "dynamodb+http://h:1?prefix=a%20b",
        "dynamodb://eu-central-1/t",
        "dynamodb://eu-central-1:8000",
        "dynamodb://user.example?prefix=a",
    ] {
        assert!(
            matches!(connect(url).await, Err(ConnectError::Address(_))),
            "{url}"
        );
    }
}

#[tokio::test]
async fn the_first_call_finds_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
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
            socket.write_all(answer).await.unwrap();
        }
        asked
    });
    let store = DynamoStore::through(aws::http_client(false), &endpoint);
    store.warm().await;
    assert!(store.spike(spike(3).id).await.is_err());
    let asked = first.await.unwrap();
    assert_eq!(asked, ["GET /ping HTTP/1.1", "POST / HTTP/1.1"]);
}

#[tokio::test]
async fn two_systems_share_an_engine_by_their_prefixes() {
    let (_, guard) = crate::testing::dynamo_store().await;
    let at = |prefix: &str| {
        let mut url = guard.url().clone();
        url.set_query(Some(&format!("prefix={prefix}")));
        url
    };
    let one = crate::prepare(&at("one-")).await.unwrap();
    let two = crate::prepare(&at("spikes.")).await.unwrap();
    let spike = spike(3);
    assert!(one.add_spike(&spike).await.unwrap());
    let order = crate::conformance::samples::placed(&spike, &[1]);
    let written = one.place(std::slice::from_ref(&order)).await;
    assert!(
        matches!(&written[..], [Ok(crate::Placement::Written)]),
        "{written:?}"
    );
    assert_eq!(one.order(order.id).await.unwrap(), Some(order.clone()));
    assert_eq!(one.claims(spike.id, 1, 3).await.unwrap().len(), 1);
    assert_eq!(one.live_spikes().await.unwrap().len(), 1);
    assert_eq!(two.order(order.id).await.unwrap(), None);
    assert!(two.live_spikes().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_engine_that_is_away_makes_everything_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("dynamodb+http://{}", listener.local_addr().unwrap());
    drop(listener);
    let store = crate::connect(&url.parse().unwrap()).await.unwrap();
    assert!(matches!(
        store.live_spikes().await,
        Err(Error::Unavailable(_))
    ));
    let spike = crate::conformance::samples::spike(3);
    let orders = [1, 2, 3].map(|unit| crate::conformance::samples::placed(&spike, &[unit]));
    let answers = store.place(&orders).await;
    assert_eq!(answers.len(), 3);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Err(Error::Unavailable(_))))
    );
}

#[tokio::test]
async fn tables_are_created_by_any_number_at_once() {
    let (store, _guard) = crate::testing::dynamo_store().await;
    let created = futures::future::join_all((0..5).map(|_| store.create_tables())).await;
    assert!(created.into_iter().all(|created| created.is_ok()));
    store.live_spikes().await.unwrap();
}

#[tokio::test]
async fn a_history_without_end_is_not_searched_to_its_end() {
    let (store, _guard) = crate::testing::dynamo_store().await;
    let (user, sale, other_sale) = (user_id(), spike(9), spike(9));
    let reject = |spike: &domain::Spike, ms| Order {
        id: order_id(ms),
        state: OrderState::Rejected,
        reason: Some(RejectReason::Limit),
        ..placed_by(user, spike, &[1])
    };
    store.reject(&reject(&sale, 0)).await.unwrap();
    let others: Vec<Order> = (1..=1000).map(|ms| reject(&other_sale, ms)).collect();
    let writes = stream::iter(&others[..999]).map(|order| store.reject(order));
    let written: Vec<_> = writes.buffer_unordered(16).collect().await;
    assert!(written.iter().all(Result::is_ok));
    let newest = async || store.newest_order(sale.id, user).await.unwrap();
    assert!(newest().await.is_some(), "the thousandth");
    store.reject(&others[999]).await.unwrap();
    assert_eq!(newest().await, None, "one further");
}
