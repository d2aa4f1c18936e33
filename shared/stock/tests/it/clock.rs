//! Redis' clock, seen by instances whose own clocks are wrong.

use std::{sync::Arc, time::Duration};

use domain::Clock;
use stock::{Config, Reserved, Stock, Supply};

use crate::kit::{Kit, order, user};

fn skewed(by: Duration, ahead: bool) -> Clock {
    let clock = stock::testing::clock();
    Arc::new(move || if ahead { clock() + by } else { clock() - by })
}

#[tokio::test]
async fn instances_whose_clocks_differ_by_minutes_agree_on_the_time() {
    let redis = stock::testing::shared();
    let five_minutes = Duration::from_mins(5);
    let fast = redis.stock(skewed(five_minutes, true)).await;
    let slow = redis.stock(skewed(five_minutes, false)).await;
    let (fast, slow) = (fast.now(), slow.clock()());
    let apart = fast.since(slow).max(slow.since(fast));
    assert!(apart < Duration::from_mins(1), "{apart:?}");
}

#[tokio::test]
async fn the_first_call_measures_where_connecting_did_not() {
    let redis = stock::testing::shared();
    let local = skewed(Duration::from_hours(24), true);
    let stock = Stock::new(redis.connection().await, Arc::clone(&local), Arc::new(|| 1));
    assert!(
        stock.now() >= local() - Duration::from_hours(1),
        "not measured yet"
    );
    stock.is_complete().await.unwrap();
    let now = stock::testing::clock()();
    let apart = stock.now().since(now).max(now.since(stock.now()));
    assert!(apart < Duration::from_mins(1), "{apart:?}");
}

#[tokio::test]
async fn a_measurement_is_repeated_when_it_is_ten_seconds_old() {
    let redis = stock::testing::shared();
    let shift = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (clock, read) = (stock::testing::clock(), Arc::clone(&shift));
    let local: Clock = Arc::new(move || {
        clock() + Duration::from_secs(read.load(std::sync::atomic::Ordering::SeqCst))
    });
    let stock = redis.stock(local).await;
    // The local clock jumps by an hour; nobody has noticed yet.
    shift.store(3600, std::sync::atomic::Ordering::SeqCst);
    let machine = stock::testing::clock();
    assert!(stock.now().since(machine()) > Duration::from_mins(50));
    stock.keep_time().await;
    assert!(stock.now().since(machine()) < Duration::from_mins(1));
}

#[tokio::test]
async fn a_sale_opens_by_redis_clock_whatever_the_caller_thinks() {
    let mut kit = Kit::new().await;
    let config = Config {
        starts_at: kit.stock.now() + Duration::from_mins(2),
        ..kit.config()
    };
    kit.load(&config, 1, Supply::Untouched).await;
    let redis = stock::testing::shared();
    kit.stock = redis.stock(skewed(Duration::from_mins(5), true)).await;
    assert!(matches!(
        kit.reserve(user(), order(), 1).await,
        Reserved::Early { .. }
    ));
}
