//! Many at once: groups of deliveries, as the order writer makes them.

use std::collections::HashSet;

use domain::{Order, OrderId};
use futures::future::join_all;

use crate::{
    Orders, Placement,
    conformance::samples::{claims, placed, spike},
    testing::mysql_store,
};

/// Every order comes twice, in groups that overlap, 64 at a time, and one unit in ten is wanted by two.
#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_deliveries_at_once_write_each_order_once() {
    let (store, _database) = mysql_store().await;
    let sale = spike(2_000);
    let mut orders: Vec<Order> = (1..=320).map(|unit| placed(&sale, &[unit])).collect();
    orders.extend((1..=32).map(|n| placed(&sale, &[n * 10])));
    let again = orders.iter().rev().cloned();
    let deliveries: Vec<Order> = orders.iter().cloned().chain(again).collect();
    let groups: Vec<&[Order]> = deliveries.chunks(11).collect();
    assert_eq!(groups.len(), 64);

    let answers = join_all(groups.iter().map(|group| store.place(group))).await;
    let answers = answers.into_iter().flatten().map(Result::unwrap);
    let mut written: HashSet<OrderId> = HashSet::new();
    let mut refused: HashSet<OrderId> = HashSet::new();
    for (order, answer) in deliveries.iter().zip(answers) {
        match answer {
            Placement::Written => assert!(written.insert(order.id), "written twice"),
            Placement::Exists(there) => assert_eq!(*there, *order),
            Placement::UnitsTaken(taken) => {
                assert_eq!(taken.len(), 1);
                refused.insert(order.id);
            }
            Placement::BuyerHas(_) => panic!("every buyer has one order"),
        }
    }
    assert_eq!((written.len(), refused.len()), (320, 32));
    assert!(written.is_disjoint(&refused));
    let held = claims(&store, &sale).await;
    assert_eq!(held.len(), 320);
}

/// However large: more orders than one transaction takes, and more claims than one statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_larger_than_any_transaction_is_written() {
    let (store, _database) = mysql_store().await;
    let sale = spike(20_000);
    let wide: Vec<u32> = (1..=1_500).collect();
    let mut orders = vec![placed(&sale, &wide)];
    orders.extend((0..250).map(|n| placed(&sale, &[2_000 + n, 3_000 + n])));
    let answers = store.place(&orders).await;
    let written = answers
        .into_iter()
        .filter(|answer| matches!(answer, Ok(Placement::Written)));
    assert_eq!(written.count(), 251);
    assert_eq!(claims(&store, &sale).await.len(), 2_000);
}

/// What the server refuses of one order harms no other.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_written_harms_no_neighbour() {
    let (store, _database) = mysql_store().await;
    let sale = spike(9);
    let mut orders: Vec<Order> = (1..=3).map(|unit| placed(&sale, &[unit])).collect();
    // More text than the column takes.
    orders[1].units = (1_000_000..1_010_000).collect();
    let answers = store.place(&orders).await;
    assert!(matches!(answers[0], Ok(Placement::Written)), "{answers:?}");
    assert!(
        matches!(answers[1], Err(crate::Error::Corrupt(_))),
        "{answers:?}"
    );
    assert!(matches!(answers[2], Ok(Placement::Written)), "{answers:?}");
    assert_eq!(store.order(orders[1].id).await.unwrap(), None);
}
