//! Loading, configuring and dropping a sale.

use domain::{Units, spike::Gate};
use stock::{Config, Configured, Load, Loaded, Reserved, Supply, UnitState};

use crate::kit::{Kit, known, units};

#[tokio::test]
async fn a_sale_never_loaded_is_a_range() {
    let mut kit = Kit::new().await;
    let config = kit.config();
    kit.load(&config, 100_000, Supply::Untouched).await;
    let sale = kit.sale().await;
    assert_eq!((sale.top, sale.next, sale.left), (100_000, 0, 100_000));
    assert_eq!((sale.version, sale.gate, sale.epoch), (1, Gate::Open, 1));
    assert_eq!(
        (sale.starts_at, sale.ends_at),
        (config.starts_at, config.ends_at)
    );
    assert_eq!((sale.limit_per_user, sale.guarded), (10, false));
    assert!(sale.audit_wanted && sale.audited_at.is_none());
    let free = kit.key("free");
    let count: u32 = kit.command(&["SCARD", &free]).await;
    assert_eq!(count, 0);
}

#[tokio::test]
async fn a_sale_is_rebuilt_from_the_stores_claims() {
    let kit = Kit::new().await;
    let (one, two) = (kit.stranger([3]), kit.stranger([4, 9]));
    let supply = known([1, 2, 5, 7, 8], &[&one, &two], [6]);
    kit.load(&kit.config(), 10, supply).await;
    assert_eq!(kit.left().await, 5);
    assert_eq!(kit.unit(6).await, UnitState::House);
    assert_eq!(kit.unit(10).await, UnitState::Missing);
    for placed in [&one, &two] {
        let hold = kit.hold(placed).await.unwrap();
        assert_eq!(
            (hold.order_id, &hold.units, hold.pending),
            (placed.order_id, &placed.units, false)
        );
        assert!(matches!(
            kit.reserve(placed.user_id, crate::kit::order(), 1).await,
            Reserved::Replay { pending: false, .. }
        ));
    }
    assert_eq!(kit.buy(5).await.units, units([1, 2, 5, 7, 8]));
    assert_eq!(kit.release(&two).await, 2);
}

#[tokio::test]
async fn a_load_of_very_many_claims_goes_in_chunks() {
    let kit = Kit::new().await;
    let orders: Vec<_> = (0..3_000_u32)
        .map(|n| kit.stranger([3 * n + 1, 3 * n + 2]))
        .collect();
    let orders: Vec<_> = orders.iter().collect();
    let free = (0..3_000).map(|n| 3 * n + 3).chain(10_000..=30_000);
    kit.load(&kit.config(), 30_000, known(free, &orders, 9_001..10_000))
        .await;
    let sale = kit.sale().await;
    assert_eq!((sale.left, sale.buyers), (23_001, 3_000));
    assert_eq!(
        kit.hold(orders[2_999]).await.unwrap().units,
        orders[2_999].units
    );
    assert_eq!(kit.unit(9_999).await, UnitState::House);
}

#[tokio::test]
async fn a_second_loader_changes_nothing() {
    let mut kit = Kit::running(3).await;
    kit.buy(1).await;
    let before = kit.snapshot().await;
    let again = kit.try_load(&kit.config(), 9, Supply::Untouched).await;
    assert_eq!(again, Loaded::Present);
    assert_eq!(kit.snapshot().await, before);
}

#[tokio::test]
async fn a_load_keeps_the_outbox_and_nothing_else_of_what_was_left() {
    let mut kit = Kit::running(3).await;
    let placed = kit.buy(2).await;
    let sale = kit.key("sale");
    let _: u32 = kit.command(&["DEL", &sale]).await;
    kit.load(&kit.config(), 3, known([1, 2, 3], &[], [])).await;
    assert!(kit.is_pending(&placed).await);
    assert_eq!(kit.hold(&placed).await, None);
    assert_eq!(kit.left().await, 3);
}

#[tokio::test]
async fn one_loader_at_a_time() {
    let mut kit = Kit::new().await;
    let (stock, spike_id) = (kit.stock.clone(), kit.spike_id);
    let first = stock.lock_loading(spike_id).await.unwrap().unwrap();
    assert_eq!(stock.lock_loading(spike_id).await.unwrap(), None);
    stock.unlock_loading(first.clone()).await.unwrap();
    let second = stock.lock_loading(spike_id).await.unwrap().unwrap();
    let loading = kit.key("loading");
    let lifetime: i64 = kit.command(&["PTTL", &loading]).await;
    assert!((1..=5_000).contains(&lifetime));
    // Only its own is kept for longer.
    let _: u32 = kit.command(&["PEXPIRE", &loading, "2000"]).await;
    assert!(!stock.keep_loading(&first).await.unwrap());
    let lifetime: i64 = kit.command(&["PTTL", &loading]).await;
    assert!(lifetime <= 2_000);
    assert!(stock.keep_loading(&second).await.unwrap());
    let lifetime: i64 = kit.command(&["PTTL", &loading]).await;
    assert!(lifetime > 2_000);
    // Whose lock has lapsed may know of an older store.
    let load = Load {
        config: kit.config(),
        top: 1,
        epoch: 1,
        supply: Supply::Untouched,
    };
    assert_eq!(stock.load(&load, &first).await.unwrap(), Loaded::Late);
    assert_eq!(stock.sale(spike_id).await.unwrap(), None);
    // The load itself ends it.
    assert_eq!(stock.load(&load, &second).await.unwrap(), Loaded::Filled);
    assert!(stock.lock_loading(spike_id).await.unwrap().is_some());
    assert_eq!(stock.load(&load, &first).await.unwrap(), Loaded::Present);
}

#[tokio::test]
async fn the_same_version_closes_and_does_not_open_again() {
    let kit = Kit::running(3).await;
    let closed = Config {
        gate: Gate::Closed,
        ..kit.config()
    };
    let configure = |config: Config| {
        let stock = kit.stock.clone();
        async move { stock.configure(&config).await.unwrap() }
    };
    assert_eq!(configure(kit.config()).await, Configured::Current);
    assert_eq!(configure(closed.clone()).await, Configured::Applied);
    assert_eq!(configure(closed).await, Configured::Current);
    assert_eq!(configure(kit.config()).await, Configured::Current);
    assert_eq!(kit.ask(1).await, Reserved::Ended);
}

#[tokio::test]
async fn a_sale_is_dropped_when_it_is_closed_and_nothing_is_pending() {
    let mut kit = Kit::running(3).await;
    let placed = kit.buy(1).await;
    let (stock, spike_id) = (kit.stock.clone(), kit.spike_id);
    assert!(!stock.drop_sale(spike_id).await.unwrap());
    let closed = Config {
        gate: Gate::Closed,
        ..kit.config()
    };
    stock.configure(&closed).await.unwrap();
    assert!(!stock.drop_sale(spike_id).await.unwrap());
    assert!(stock.ack(&placed).await.unwrap());
    stock.lease_audit(spike_id).await.unwrap();
    assert!(stock.drop_sale(spike_id).await.unwrap());
    let pattern = kit.key("*");
    let keys: Vec<String> = kit.command(&["KEYS", &pattern]).await;
    assert_eq!(keys, Vec::<String>::new());
    assert!(stock.drop_sale(spike_id).await.unwrap());
}

#[tokio::test]
async fn a_wiped_redis_is_not_complete() {
    let redis = stock::testing::redis();
    let kit = Kit::on(&redis).await;
    assert!(!kit.stock.is_complete().await.unwrap());
    kit.stock.mark_complete().await.unwrap();
    assert!(kit.stock.is_complete().await.unwrap());
    redis.flush().await;
    assert!(!kit.stock.is_complete().await.unwrap());
}

#[tokio::test]
async fn a_load_says_which_it_was() {
    let kit = Kit::new().await;
    let load = Load {
        config: kit.config(),
        top: 2,
        epoch: 7,
        supply: Supply::Known {
            free: units([1]),
            claims: Vec::new(),
            retired: Units::none(),
        },
    };
    let lock = kit.stock.lock_loading(kit.spike_id).await.unwrap().unwrap();
    assert_eq!(kit.stock.load(&load, &lock).await.unwrap(), Loaded::Filled);
    assert_eq!(kit.sale().await.epoch, 7);
}
