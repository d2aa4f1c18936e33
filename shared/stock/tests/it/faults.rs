//! Redis without memory, without its scripts, restarted, and away.

use std::time::Duration;

use domain::Verdict;
use stock::{Config, Error, Reassigned, Request, Reserved, Supply, testing};

use crate::kit::{Kit, known, order, units, user};

async fn set(kit: &mut Kit, name: &str, value: &str) {
    let _: () = kit.command(&["CONFIG", "SET", name, value]).await;
}

#[tokio::test]
async fn out_of_memory_is_said_and_nothing_is_half_done() {
    let redis = testing::redis();
    let mut kit = Kit::on(&redis).await;
    kit.load(&kit.config(), 9, Supply::Untouched).await;
    let (kept, gone) = (kit.buy(2).await, kit.buy(2).await);
    kit.release(&gone).await;
    let stranger = kit.stranger([2, 8]);
    let due = kit.key("pending");
    let _: u32 = kit.command(&["ZADD", &due, "1", &kept.member()]).await;
    let before = kit.snapshot().await;
    set(&mut kit, "maxmemory", "1").await;

    let (stock, spike_id) = (kit.stock.clone(), kit.spike_id);
    let ask = |quantity| Request {
        spike_id,
        user_id: user(),
        order_id: order(),
        quantity,
        verdict: None,
    };
    let full = |error| matches!(error, Error::OutOfMemory);
    for quantity in [1, 7] {
        assert!(full(stock.reserve(&ask(quantity)).await.unwrap_err()));
    }
    assert!(full(
        stock.reassign(&stranger, &units([8])).await.unwrap_err()
    ));
    let truth = stock::Truth::Retired;
    assert!(full(
        stock.learn(spike_id, 8, &truth, None, 9).await.unwrap_err()
    ));
    assert!(full(
        stock.offer(spike_id, 20, &units([3])).await.unwrap_err()
    ));
    assert!(full(stock.retire(spike_id, 9).await.unwrap_err()));
    let newer = Config {
        version: 2,
        ..kit.config()
    };
    assert!(full(stock.configure(&newer).await.unwrap_err()));
    assert!(full(stock.put_pending(&kept).await.unwrap_err()));
    let verdict = stock.remember_verdict(spike_id, user(), &Verdict::Allowed);
    assert!(full(verdict.await.unwrap_err()));
    assert_eq!(kit.snapshot().await, before);

    // What frees memory, and what only reads, goes on.
    let replayed = kit.reserve(kept.user_id, order(), 1).await;
    assert!(matches!(replayed, Reserved::Replay { pending: true, .. }));
    assert_eq!(stock.take_due(spike_id, 9).await.unwrap().len(), 1);
    assert!(stock.ack(&kept).await.unwrap());
    assert_eq!(kit.release(&kept).await, 2);

    set(&mut kit, "maxmemory", "0").await;
    assert_eq!(kit.left().await, 9);
    kit.buy(9).await;
}

#[tokio::test]
async fn a_load_without_memory_leaves_no_part_of_a_sale() {
    let redis = testing::redis();
    let mut kit = Kit::on(&redis).await;
    let lock = kit.stock.lock_loading(kit.spike_id).await.unwrap().unwrap();
    set(&mut kit, "maxmemory", "1").await;
    let load = stock::Load {
        config: kit.config(),
        top: 3,
        epoch: 1,
        supply: known([1, 2, 3], &[], []),
    };
    assert!(matches!(
        kit.stock.load(&load, &lock).await,
        Err(Error::OutOfMemory)
    ));
    let keys: Vec<String> = kit.command(&["KEYS", "*"]).await;
    assert_eq!(keys, [kit.key("loading")], "the loader's lock");
}

#[tokio::test]
async fn forgotten_scripts_are_loaded_again() {
    let redis = testing::redis();
    let mut kit = Kit::on(&redis).await;
    kit.load(&kit.config(), 9, Supply::Untouched).await;
    let first = kit.buy(1).await;
    let _: () = kit.command(&["SCRIPT", "FLUSH"]).await;
    kit.buy(1).await;
    let _: () = kit.command(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(
        kit.reassign(&first, &units([1])).await,
        Reassigned::Units(units([3]))
    );
}

#[tokio::test]
async fn a_restarted_redis_is_found_again_and_its_file_is_read() {
    let mut redis = testing::redis_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let kit = Kit::on(&redis).await;
    kit.load(&kit.config(), 3, Supply::Untouched).await;
    let placed = kit.buy(1).await;
    redis.stop();
    assert!(matches!(
        kit.stock.sale(kit.spike_id).await,
        Err(Error::Unavailable(_))
    ));
    assert!(matches!(
        kit.stock.sale(kit.spike_id).await,
        Err(Error::Unavailable(_))
    ));
    redis.start();
    let mut found = false;
    for _ in 0..200 {
        found = kit.stock.sale(kit.spike_id).await.is_ok();
        if found {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(found);
    assert_eq!(kit.hold(&placed).await.unwrap().order_id, placed.order_id);
    assert_eq!(kit.left().await, 2);
}

#[tokio::test]
async fn a_redis_that_hangs_is_unavailable_and_nothing_is_sent_twice() {
    let redis = testing::redis();
    let mut kit = Kit::on(&redis).await;
    kit.load(&kit.config(), 3, Supply::Untouched).await;
    kit.buy(1).await; // so that the script is known
    let hasty = stock::Stock::connect(&redis.url(), testing::clock())
        .await
        .unwrap();
    let info: String = kit.command(&["INFO", "server"]).await;
    let pid = info
        .lines()
        .find_map(|line| line.strip_prefix("process_id:"));
    let signal = |signal: &str| {
        let kill = std::process::Command::new("kill")
            .args([signal, pid.unwrap()])
            .status();
        assert!(kill.unwrap().success());
    };
    signal("-STOP");
    let (user_id, order_id) = (user(), order());
    let request = Request {
        spike_id: kit.spike_id,
        user_id,
        order_id,
        quantity: 1,
        verdict: None,
    };
    let late = hasty.reserve(&request).await;
    assert!(matches!(late, Err(Error::Unavailable(error)) if error.is_timeout()));
    signal("-CONT");
    // It happened once, and the buyer's retry finds it.
    let replayed = kit.reserve(user_id, order(), 1).await;
    assert!(matches!(replayed, Reserved::Replay { order_id: id, .. } if id == order_id));
    assert_eq!(kit.left().await, 1);
}
