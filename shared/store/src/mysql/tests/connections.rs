//! Locks, deadlocks, killed connections, servers that restart, pools that are empty.

use std::time::Duration;

use domain::order::Transition;

use super::*;
use crate::{
    Error, Orders, Placement, Spikes, Store, Transitioned,
    conformance::samples::{claims, held_by, later, must_place, payment, place, placed, spike},
    testing::{mariadb, mysql_store, shared_mariadb},
};

/// Does not wait long.
const SHORT: Patience = Patience {
    connect: Duration::from_millis(200),
    answer: Duration::from_millis(500),
    total: Duration::from_millis(500),
};

fn is_unavailable<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Unavailable(_)))
}

async fn root() -> MySqlConnection {
    connection(&shared_mariadb().root_url().parse().unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_15_whoever_loses_a_deadlock_tries_again() {
    let (store, database) = mysql_store().await;
    let (sale, mut root) = (spike(3), root().await);
    let order = placed(&sale, &[1]);
    must_place(&store, &order).await;
    let deadlocks = "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status \
                     WHERE variable_name = 'Innodb_deadlocks'";
    let before = count(&mut root, deadlocks).await;

    // A rival that has written more than we do is spared: it has the claims, and then wants the order.
    let mut rival = connection(database.url()).await;
    run(&mut rival, "START TRANSACTION").await;
    for n in 0..50 {
        run(
            &mut rival,
            format!("INSERT INTO login_attempts VALUES ('rival-{n}', 1, 1)"),
        )
        .await;
    }
    let spike_id = hex(sale.id.as_bytes());
    run(
        &mut rival,
        format!("UPDATE claims SET kind = kind WHERE spike_id = {spike_id}"),
    )
    .await;
    run(
        &mut rival,
        format!("SELECT * FROM claims WHERE spike_id = {spike_id} FOR UPDATE"),
    )
    .await;
    let (ours, id) = (store.clone(), order.id);
    let ending = tokio::spawn(async move { ours.end(id, Transition::Cancel, later(10)).await });
    let order_id = hex(order.id.as_bytes());
    let waiting = format!(
        "SELECT COUNT(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p \
         ON p.id = t.trx_mysql_thread_id WHERE t.trx_state = 'LOCK WAIT' AND p.db = '{}'",
        database.url().path().trim_start_matches('/')
    );
    while count(&mut root, &waiting).await == 0 {
        // The server looks again only where nobody has for a tenth of a second.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    run(
        &mut rival,
        format!("SELECT * FROM orders WHERE id = {order_id} FOR UPDATE"),
    )
    .await;
    run(&mut rival, "ROLLBACK").await;

    let ended = ending.await.unwrap().unwrap();
    assert!(matches!(ended, Transitioned::Done(_)), "{ended:?}");
    assert!(count(&mut root, deadlocks).await > before);
    assert_eq!(claims(&store, &sale).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_stays_locked_makes_unavailable() {
    let (_, database) = mysql_store().await;
    let store = MySqlStore::lazily(database.url(), SHORT).unwrap();
    let order = placed(&spike(3), &[1]);
    must_place(&store, &order).await;
    let mut rival = connection(database.url()).await;
    run(&mut rival, "START TRANSACTION").await;
    let id = hex(order.id.as_bytes());
    run(
        &mut rival,
        format!("SELECT * FROM orders WHERE id = {id} FOR UPDATE"),
    )
    .await;
    assert!(is_unavailable(&store.pay(order.id, &payment(&order)).await));
    run(&mut rival, "ROLLBACK").await;
    let paid = store.pay(order.id, &payment(&order)).await.unwrap();
    // What was given up may have been done by the server all the same.
    assert!(
        matches!(paid, Transitioned::Done(_) | Transitioned::NotPlaced(_)),
        "{paid:?}"
    );
    let paid = store.order(order.id).await.unwrap().unwrap();
    assert_eq!(paid.payment, Some(payment(&order)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_waits_for_leaves_no_lock() {
    let (store, database) = mysql_store().await;
    let sale = spike(3);
    let order = placed(&sale, &[1]);
    must_place(&store, &order).await;
    let mut rival = connection(database.url()).await;
    run(&mut rival, "START TRANSACTION").await;
    let spike_id = hex(sale.id.as_bytes());
    run(
        &mut rival,
        format!("SELECT * FROM claims WHERE spike_id = {spike_id} FOR UPDATE"),
    )
    .await;
    // It has the order's row and waits for the claims when it is dropped.
    let end = store.end(order.id, Transition::Cancel, later(10));
    assert!(
        tokio::time::timeout(Duration::from_millis(300), end)
            .await
            .is_err()
    );
    run(&mut rival, "ROLLBACK").await;
    let ended = store
        .end(order.id, Transition::Expire, later(11))
        .await
        .unwrap();
    assert!(matches!(ended, Transitioned::Done(_)), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_are_replaced() {
    let (store, database) = mysql_store().await;
    let sale = spike(99);
    let mut root = root().await;
    let name = database.url().path().trim_start_matches('/');
    for round in 1..=5 {
        let orders: Vec<_> = (0..8).map(|n| placed(&sale, &[round * 10 + n])).collect();
        let alone = orders.iter().map(|order| place(&store, order));
        let answers = futures::future::join_all(alone).await;
        assert!(
            answers.iter().all(|answer| *answer == Placement::Written),
            "{answers:?}"
        );
        let ours = format!("SELECT id FROM information_schema.processlist WHERE db = '{name}'");
        let ours = run(&mut root, ours).await;
        assert!(!ours.is_empty());
        for row in ours {
            let id: i64 = row.try_get(0).unwrap();
            run(&mut root, format!("KILL CONNECTION {id}")).await;
        }
    }
    assert_eq!(claims(&store, &sale).await.len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_14_a_store_survives_the_restart_of_its_server() {
    let mut server = mariadb();
    let url = server.database().await;
    let store = crate::testing::mysql_store_at(&url, crate::mysql::PATIENT).await;
    let hasty = MySqlStore::lazily(&url, SHORT).unwrap();
    let sale = spike(9);
    let before = placed(&sale, &[1]);
    must_place(&hasty, &before).await;
    assert_eq!(
        store.order(before.id).await.unwrap().as_ref(),
        Some(&before)
    );

    server.stop();
    assert!(is_unavailable(&hasty.order(before.id).await));
    let orders = [placed(&sale, &[2]), placed(&sale, &[3])];
    let refused = hasty.place(&orders).await;
    assert!(refused.iter().all(is_unavailable), "{refused:?}");

    server.start();
    assert_eq!(
        store.order(before.id).await.unwrap().as_ref(),
        Some(&before)
    );
    must_place(&store, &orders[0]).await;
    assert_eq!(
        claims(&store, &sale).await,
        [held_by(&before), held_by(&orders[0])].concat()
    );
}

#[tokio::test]
async fn a_function_starts_without_its_store() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let url: Url = format!("mysql://spike@127.0.0.1:{port}/spike")
        .parse()
        .unwrap();
    let store = crate::connect(&url).await.unwrap();
    assert!(is_unavailable(&store.live_spikes().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_pool_answers_in_the_end() {
    let (_, database) = mysql_store().await;
    let mut url = database.url().clone();
    url.set_query(Some("connections=1"));
    let store = MySqlStore::lazily(&url, SHORT).unwrap();
    let only = store.pool.acquire().await.unwrap();
    assert!(is_unavailable(&store.live_spikes().await));
    drop(only);
    let dynamic: &dyn Store = &store;
    assert_eq!(dynamic.live_spikes().await.unwrap(), []);
}
