use domain::Timestamp;
use http::Method;

use super::*;
use crate::{
    api::{Balance, RedisStats, StoreStats},
    testing::{Shop, buyers},
};

const UNITS: u32 = 3;

/// Lets five buyers and as many latecomers as it takes loose on the shop, and answers with the promises that were broken.
async fn broken(shop: Shop) -> Vec<Check> {
    let units = shop.units;
    let sale = shop.sale(1).await;
    let buyers_of_five = buyers(0..5);
    let mut ends = Vec::new();
    for buyer in &buyers_of_five {
        ends.push(sale.buy(buyer, Instant::now()).await);
    }
    let admin = Admin::login(&sale.client, "admin:secret").await.unwrap();
    let audit = Audit {
        sale: &sale,
        admin: &admin,
        buyers: &buyers_of_five,
        latecomers: &buyers(5..5 + latecomers(5, units, 1)),
        ends: &ends,
        units,
        rest: Duration::ZERO,
    };
    let checks = audit.run(true).await;
    assert_eq!(checks.len(), 9, "each check was made: {checks:?}");
    checks.into_iter().filter(|check| !check.kept).collect()
}

fn shop() -> Shop {
    Shop {
        units: UNITS,
        ..Shop::default()
    }
}

/// A shop that gives one wrong answer.
fn faulty(method: Method, path: &'static str, status: u16, body: serde_json::Value) -> Shop {
    Shop {
        instead: Some((method, path, status, body)),
        ..shop()
    }
}

fn promises(checks: &[Check]) -> Vec<&str> {
    checks.iter().map(|check| check.promise.as_str()).collect()
}

const GIVEN_BACK: &str = "after 3 cancellations their units, and no more, can be bought";

#[tokio::test]
async fn a_shop_without_fault_keeps_every_promise() {
    assert_eq!(promises(&broken(shop()).await), [""; 0]);
    let plenty = Shop {
        units: 40,
        ..shop()
    };
    assert_eq!(promises(&broken(plenty).await), [""; 0]);
}

#[tokio::test]
async fn a_cancellation_that_fails_is_a_broken_promise_and_no_end_of_the_audit() {
    let problem = json!({ "code": "internal" });
    let broken = broken(faulty(Method::POST, "/cancel", 500, problem)).await;
    assert_eq!(promises(&broken), [GIVEN_BACK]);
    assert!(
        broken[0]
            .found
            .contains("3 failures, such as a cancellation: 500"),
        "{broken:?}"
    );
}

#[tokio::test]
async fn a_latecomer_who_is_not_served_is_a_broken_promise_and_no_end_of_the_audit() {
    let shop = Shop {
        closes: true,
        ..shop()
    };
    let broken = broken(shop).await;
    assert_eq!(promises(&broken)[0], GIVEN_BACK);
    assert!(
        broken[0].found.contains("not an answer to a buyer"),
        "{broken:?}"
    );
}

#[tokio::test]
async fn figures_and_lists_that_cannot_be_read_are_broken_promises() {
    let problem = json!({ "code": "internal" });
    let lists = broken(faulty(Method::GET, "/orders", 500, problem.clone())).await;
    assert_eq!(promises(&lists), ["one order per user"]);
    let figures = broken(faulty(Method::GET, "/stats", 500, problem)).await;
    assert_eq!(
        promises(&figures),
        [
            GIVEN_BACK,
            "units free in Redis = units free in the store",
            "nothing is under way, and no unit is lost"
        ]
    );
}

#[tokio::test]
async fn more_units_than_were_given_back_are_found() {
    let shop = Shop {
        oversold: 1,
        ..shop()
    };
    let broken = broken(shop).await;
    assert_eq!(
        promises(&broken)[..2],
        [GIVEN_BACK, "no unit twice even then"]
    );
}

/// The orders in question are among those that are cancelled.
#[tokio::test]
async fn a_unit_that_two_winners_got_is_found_although_they_give_it_back() {
    let shop = Shop {
        same_unit: true,
        ..shop()
    };
    assert!(promises(&broken(shop).await).contains(&"no unit twice"));
}

#[test]
fn more_latecomers_come_than_can_get_something_unless_they_were_too_many() {
    assert_eq!(latecomers(10_000, 100, 1), 30);
    assert_eq!(latecomers(50, 100, 1), 80);
    assert_eq!(latecomers(50, 100, 2), 30);
    assert_eq!(latecomers(50, 100_000, 1), 1_000);
}
fn order(seed: u8, units: &[u32]) -> OrderView {
    OrderView {
        reason: None,
        order_id: OrderId::mint(Timestamp::from_millis(1), [seed; 10]),
        state: "placed".to_owned(),
        spike_id: None,
        units: units.iter().copied().collect(),
    }
}

#[test]
fn a_unit_sold_twice_or_made_up_is_found() {
    assert!(no_unit_twice("", &[order(1, &[1]), order(2, &[2])], 2).kept);
    assert!(!no_unit_twice("", &[order(1, &[1]), order(2, &[1])], 2).kept);
    assert!(!no_unit_twice("", &[order(1, &[1]), order(2, &[3])], 2).kept);
}

#[test]
fn redis_and_store_must_agree_with_each_other_and_with_what_was_sold() {
    let stats = |free, held, differs| Stats {
        redis: Some(RedisStats {
            free,
            buyers: 0,
            pending: 0,
        }),
        store: StoreStats { free: 5, held },
        free_differs: Some(differs),
        balance: balance(0, 0, true),
    };
    assert!(agrees(&stats(5, 95, 0), 5, 95));
    assert!(!agrees(&stats(4, 95, 1), 5, 95));
    assert!(!agrees(&stats(5, 94, 0), 5, 95));
    assert!(!agrees(&stats(5, 95, 2), 5, 95));
    assert!(!agrees(&stats(5, 95, 0), 6, 94));
}

fn balance(queued: u64, settling: u64, balances: bool) -> Balance {
    Balance {
        queued,
        placed: 95,
        paid: 0,
        settling,
        balances,
    }
}

#[test]
fn a_unit_that_is_on_its_way_or_lost_is_found() {
    let stats = |pending, balance| Stats {
        redis: Some(RedisStats {
            free: 5,
            buyers: 95,
            pending,
        }),
        store: StoreStats { free: 5, held: 95 },
        free_differs: Some(0),
        balance,
    };
    assert!(stats(0, balance(0, 0, true)).is_quiet());
    assert!(!stats(1, balance(0, 0, true)).is_quiet());
    assert!(!stats(0, balance(1, 0, true)).is_quiet());
    assert!(!stats(0, balance(0, 1, true)).is_quiet());
    assert!(!stats(0, balance(0, 0, false)).is_quiet());
}
