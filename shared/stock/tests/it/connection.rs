//! A connection that was left alone, and a Redis that is not there at the start.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::{Clock, Timestamp};
use redis::AsyncCommands as _;
use stock::{Error, Stock, testing};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixStream},
};
use url::Url;

use crate::kit::Kit;

/// Longer than any connection is trusted unseen.
const FREEZE_MS: i64 = 60_000;

/// A clock that can be set forward, as a frozen process finds its own.
fn clock() -> (Arc<AtomicI64>, Clock) {
    let ahead = Arc::new(AtomicI64::new(0));
    let (read, machine) = (Arc::clone(&ahead), testing::clock());
    let clock: Clock = Arc::new(move || {
        Timestamp::from_millis(machine().as_millis() + read.load(Ordering::SeqCst))
    });
    (ahead, clock)
}

/// Something that answers only if the connection works.
async fn asks(stock: &Stock) -> Result<(), Error> {
    let nobody = Kit::new().await.spike_id;
    stock.sale(nobody).await.map(drop)
}

/// A way to Redis on which something forgets connections without a word: from `hole` on, no byte of those that are open
/// arrives; new ones work. What is counted is connections.
async fn forgetful_way(socket: PathBuf, hole: Arc<AtomicBool>) -> (Url, Arc<AtomicI64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicI64::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut inside = UnixStream::connect(&socket).await.unwrap();
            // Those that are opened behind the hole are spared.
            let is_old = !hole.load(Ordering::SeqCst);
            let hole = Arc::clone(&hole);
            tokio::spawn(async move {
                let (mut to, mut fro) = (vec![0; 65_536], vec![0; 65_536]);
                loop {
                    let (count, is_to) = tokio::select! {
                        count = outside.read(&mut to) => (count.unwrap_or(0), true),
                        count = inside.read(&mut fro) => (count.unwrap_or(0), false),
                    };
                    if count == 0 {
                        return;
                    }
                    if is_old && hole.load(Ordering::SeqCst) {
                        continue;
                    }
                    if is_to {
                        inside.write_all(&to[..count]).await.unwrap();
                    } else {
                        outside.write_all(&fro[..count]).await.unwrap();
                    }
                }
            });
        }
    });
    (url.parse().unwrap(), connections)
}

#[tokio::test]
async fn a_connection_that_was_closed_during_a_freeze_is_replaced_within_the_next_call() {
    let redis = testing::redis();
    let (ahead, clock) = clock();
    let stock = Stock::connect(&redis.url(), clock).await.unwrap();
    asks(&stock).await.unwrap();
    for _ in 0..3 {
        let mut admin = redis.connection().await;
        let kill = redis::cmd("CLIENT")
            .arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .to_owned();
        let _: i64 = kill.query_async(&mut admin).await.unwrap();
        ahead.fetch_add(FREEZE_MS, Ordering::SeqCst);
        asks(&stock).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_was_forgotten_during_a_freeze_is_replaced_within_the_next_call() {
    let redis = testing::redis();
    let hole = Arc::new(AtomicBool::new(false));
    let (url, connections) = forgetful_way(redis.socket(), Arc::clone(&hole)).await;
    let (ahead, clock) = clock();
    let stock = Stock::connect(&url, clock).await.unwrap();
    asks(&stock).await.unwrap();
    hole.store(true, Ordering::SeqCst);
    ahead.fetch_add(FREEZE_MS, Ordering::SeqCst);
    let asked = tokio::join!(asks(&stock), asks(&stock), asks(&stock));
    assert!(matches!(asked, (Ok(()), Ok(()), Ok(()))), "{asked:?}");
    assert_eq!(
        connections.load(Ordering::SeqCst),
        2,
        "replaced once for all"
    );
    asks(&stock).await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_that_works_is_kept_over_a_freeze() {
    let redis = testing::redis();
    let (url, connections) = forgetful_way(redis.socket(), Arc::default()).await;
    let (ahead, clock) = clock();
    let stock = Stock::connect(&url, clock).await.unwrap();
    for _ in 0..3 {
        ahead.fetch_add(FREEZE_MS, Ordering::SeqCst);
        asks(&stock).await.unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_function_starts_without_redis_and_finds_it_later() {
    let mut redis = testing::redis();
    let mut connection = redis.connection().await;
    let _: () = connection.ping().await.unwrap();
    redis.stop();
    let stock = Stock::connect(&redis.url(), testing::clock())
        .await
        .unwrap();
    assert!(matches!(asks(&stock).await, Err(Error::Unavailable(_))));
    redis.start();
    for _ in 0..200 {
        if asks(&stock).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("Redis is there, and was not found");
}

#[tokio::test]
async fn a_redis_that_says_nothing_does_not_hold_up_a_start() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let url = url.parse().unwrap();
    let connected = Stock::connect(&url, testing::clock());
    let connected = tokio::time::timeout(Duration::from_secs(30), connected).await;
    let stock = connected.unwrap().unwrap();
    assert!(matches!(asks(&stock).await, Err(Error::Unavailable(_))));
}
