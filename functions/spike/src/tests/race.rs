//! Many at once, over a real Redis: what is sold is exactly what there is.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use axum::body::Body;
use domain::{OrderId, UserId};
use events::testing::{Answer, Recorder};
use sale::testing::user;

use super::shop::{Shop, send};

const BUYERS: usize = 400;
const UNITS: u32 = 60;

/// One buyer who tries until there is an answer: an order, or none to be had.
async fn buyer(shop: Arc<Shop>, app: runtime::App, user_id: UserId) -> Option<OrderId> {
    loop {
        let answer = send(&app, shop.purchase(user_id).body(Body::empty()).unwrap()).await;
        match answer.status.as_u16() {
            202 => return Some(answer.order_id()),
            409 => return None,
            429 | 503 => tokio::time::sleep(Duration::from_millis(50)).await,
            other => panic!("{other}: {}", answer.body),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hundreds_at_once_buy_exactly_what_there_is() {
    let shop = Arc::new(Shop::of(UNITS).await);
    let sinks: Vec<_> = (0..3).map(|_| Arc::new(Recorder::default())).collect();
    let apps: Vec<_> = sinks
        .iter()
        .map(|sink| shop.instance(sink.clone()))
        .collect();
    // One broker keeps events without saying so for a while: its buyers have to try again.
    sinks[1].answer(Answer::LoseAnswer);
    let users: Vec<_> = (0..BUYERS).map(|_| user()).collect();
    // Each comes through two instances at the same time.
    let tries: Vec<_> = users
        .iter()
        .enumerate()
        .flat_map(|(n, user_id)| [(*user_id, n % 3), (*user_id, (n + 1) % 3)])
        .map(|(user_id, at)| {
            (
                user_id,
                tokio::spawn(buyer(Arc::clone(&shop), apps[at].clone(), user_id)),
            )
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    sinks[1].answer(Answer::Ack);
    let mut orders: HashMap<UserId, BTreeSet<OrderId>> = HashMap::new();
    for (user_id, bought) in tries {
        orders
            .entry(user_id)
            .or_default()
            .extend(bought.await.unwrap());
    }
    assert!(
        orders.values().all(|orders| orders.len() <= 1),
        "one order for each buyer"
    );
    let accepted: BTreeSet<_> = orders.into_values().flatten().collect();
    let events: Vec<_> = sinks.iter().flat_map(|sink| sink.take()).collect();
    let published: BTreeSet<_> = events.iter().map(|event| event.order_id).collect();
    let units: BTreeSet<_> = events
        .iter()
        .flat_map(|event| event.units.iter().map(|unit| (event.order_id, unit)))
        .collect();
    assert_eq!(
        published, accepted,
        "every acceptance was published, and nothing else"
    );
    let sold: BTreeSet<_> = units.iter().map(|(_, unit)| *unit).collect();
    assert_eq!(
        (units.len(), sold),
        (UNITS as usize, (1..=UNITS).collect()),
        "each unit once"
    );
    let sale = shop
        .sale
        .stock
        .sale(shop.sale.spike.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((sale.left, sale.buyers, sale.pending), (0, UNITS, UNITS));
}
