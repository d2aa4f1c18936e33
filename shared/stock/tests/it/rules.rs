//! The nine rules of the protocol. Each was found by breaking it in a model.

use domain::{OrderPlaced, spike::Gate};
use stock::{Config, Configured, Loaded, Reassigned, Reserved, Seen, Supply, UnitState};

use crate::kit::{Kit, an_hour_ago, known, order, units};

/// Who holds the unit by Redis.
async fn holder(kit: &Kit, unit: u32) -> Option<domain::OrderId> {
    match kit.unit(unit).await {
        UnitState::Held { order_id, .. } => Some(order_id),
        _ => None,
    }
}

/// Two reservations of one unit: Redis forgot the first.
async fn sold_twice(kit: &mut Kit) -> (OrderPlaced, OrderPlaced) {
    let before = kit.snapshot().await;
    let forgotten = kit.buy(1).await;
    kit.roll_back(&before).await;
    let second = kit.buy(1).await;
    assert_eq!(forgotten.units, second.units);
    (forgotten, second)
}

#[tokio::test]
async fn rule_1_a_unit_returns_after_a_durable_transition_and_never_by_age() {
    let mut kit = Kit::running(1).await;
    let placed = kit.buy(1).await;
    let (held, pending, member) = (kit.key("held"), kit.key("pending"), placed.member());
    let since = an_hour_ago(&kit.stock).as_millis() - 86_400_000;
    let old = format!("{}|{}|{since}", placed.order_id, placed.user_id);
    let _: u32 = kit.command(&["HSET", &held, "1", &old]).await;
    let _: u32 = kit.command(&["ZADD", &pending, "1", &member]).await;
    let due = kit.stock.take_due(kit.spike_id, 10).await.unwrap();
    assert_eq!(
        due.len(),
        1,
        "a day old, and all that happens is that it is published"
    );
    assert_eq!(kit.offer(1, [1]).await, 0);
    assert_eq!(kit.ask(1).await, Reserved::SoldOut { left: 0 });
    for key in [held, pending, kit.key("sale"), kit.key("buyers")] {
        let lifetime: i64 = kit.command(&["PTTL", &key]).await;
        assert_eq!(lifetime, -1, "{key} has no lifetime");
    }
    assert_eq!(kit.release(&placed).await, 1);
}

#[tokio::test]
async fn rule_2_a_reservation_id_is_the_callers_and_tells_two_sales_of_one_unit_apart() {
    let mut kit = Kit::running(2).await;
    let (forgotten, second) = sold_twice(&mut kit).await;
    assert_ne!(forgotten.order_id, second.order_id);
    assert_eq!(kit.release(&forgotten).await, 0);
    assert!(!kit.stock.ack(&forgotten).await.unwrap());
    assert_eq!(holder(&kit, 1).await, Some(second.order_id));
    assert!(kit.is_pending(&second).await);
}

#[tokio::test]
async fn rule_3_only_the_writers_ack_empties_the_outbox() {
    let mut kit = Kit::running(1).await;
    let placed = kit.buy(1).await;
    let (pending, member) = (kit.key("pending"), placed.member());
    let _: u32 = kit.command(&["ZADD", &pending, "1", &member]).await;
    kit.stock.take_due(kit.spike_id, 10).await.unwrap();
    assert!(
        kit.is_pending(&placed).await,
        "published, and still pending"
    );
    let replayed = kit.reserve(placed.user_id, order(), 1).await;
    assert!(matches!(replayed, Reserved::Replay { pending: true, .. }));
    assert!(kit.stock.ack(&placed).await.unwrap());
    let replayed = kit.reserve(placed.user_id, order(), 1).await;
    assert!(matches!(replayed, Reserved::Replay { pending: false, .. }));
}

#[tokio::test]
async fn rule_4_a_late_duplicate_of_a_cancelled_reservation_revives_nothing() {
    let mut kit = Kit::running(1).await;
    let cancelled = kit.buy(1).await;
    kit.stock.ack(&cancelled).await.unwrap();
    kit.release(&cancelled).await;
    let next = kit.buy(1).await;
    let before = kit.snapshot().await;
    // What the writer does with the late copy: the order is there and ended.
    assert_eq!(kit.release(&cancelled).await, 0);
    assert!(!kit.stock.ack(&cancelled).await.unwrap());
    assert!(!kit.stock.put_pending(&cancelled).await.unwrap());
    assert_eq!(kit.snapshot().await, before);
    assert_eq!(holder(&kit, 1).await, Some(next.order_id));
}

#[tokio::test]
async fn rule_5_write_backs_compare_the_holder_and_not_the_epoch() {
    let mut kit = Kit::running(2).await;
    let (forgotten, second) = sold_twice(&mut kit).await;
    // A reload in between: another epoch, the same holder.
    kit.stock.ack(&second).await.unwrap();
    let sale = kit.key("sale");
    let _: u32 = kit.command(&["DEL", &sale]).await;
    kit.load(&kit.config(), 2, known([2], &[&second], [])).await;
    assert_eq!(kit.release(&forgotten).await, 0);
    assert_eq!(kit.release(&second).await, 1);
    assert_eq!(kit.left().await, 2);
}

#[tokio::test]
async fn rule_5_a_release_forgets_the_buyer_even_where_no_unit_is_held() {
    let mut kit = Kit::running(2).await;
    let placed = kit.buy(1).await;
    let owner = kit.stranger([1]);
    assert!(
        kit.learn(1, &owner, Some(Seen::Order(placed.order_id)))
            .await
    );
    assert_eq!(kit.release(&placed).await, 0);
    assert_eq!(kit.hold(&placed).await, None);
    assert!(!kit.is_pending(&placed).await);
    assert_eq!(holder(&kit, 1).await, Some(owner.order_id));
}

#[tokio::test]
async fn rule_6_a_load_fills_only_an_absent_sale() {
    let kit = Kit::running(3).await;
    let placed = kit.buy(2).await;
    // A loader with an old view: everything free.
    let old_view = kit
        .try_load(&kit.config(), 3, known([1, 2, 3], &[], []))
        .await;
    assert_eq!(old_view, Loaded::Present);
    assert_eq!(kit.left().await, 1);
    assert_eq!(holder(&kit, 1).await, Some(placed.order_id));
}

#[tokio::test]
async fn rule_7_top_only_grows_and_the_house_takes_free_units_like_a_buyer() {
    let kit = Kit::running(4).await;
    let placed = kit.buy(1).await;
    let (stock, spike_id) = (&kit.stock, kit.spike_id);
    stock.offer(spike_id, 2, &units([])).await.unwrap();
    assert_eq!(kit.sale().await.top, 4);
    // Two lowerings at once take no more than one of them wants: the store decides about the same units.
    let (one, two) = tokio::join!(stock.retire(spike_id, 2), stock.retire(spike_id, 2));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((&one, &two), (&units([2, 3]), &units([2, 3])));
    stock.settle(spike_id, &one).await.unwrap();
    assert_eq!(stock.retire(spike_id, 2).await.unwrap(), units([4]));
    assert_eq!(holder(&kit, 1).await, Some(placed.order_id));
    assert_eq!(kit.ask(1).await, Reserved::SoldOut { left: 0 });
    // A sweeper with an old view cannot offer them; the house can.
    assert_eq!(
        stock.offer(spike_id, 4, &units([2, 3, 4])).await.unwrap(),
        0
    );
    assert_eq!(
        stock.unretire(spike_id, &two).await.unwrap(),
        two.quantity()
    );
    stock.offer(spike_id, 5, &units([])).await.unwrap();
    assert_eq!(kit.left().await, two.quantity() + 1);
}

#[tokio::test]
async fn rule_8_a_conflict_heals_that_unit_and_the_order_gets_another() {
    let mut kit = Kit::running(3).await;
    let (written, second) = sold_twice(&mut kit).await;
    // The writer refused the second: it learns who has the unit, and reassigns.
    assert!(
        kit.learn(1, &written, Some(Seen::Order(second.order_id)))
            .await
    );
    assert_eq!(holder(&kit, 1).await, Some(written.order_id));
    assert!(kit.sale().await.audit_wanted);
    assert_eq!(
        kit.reassign(&second, &units([1])).await,
        Reassigned::Units(units([2]))
    );
    // Both are buyers now, and no unit is lost.
    assert_eq!(kit.hold(&written).await.unwrap().units, units([1]));
    assert_eq!(kit.hold(&second).await.unwrap().units, units([2]));
    assert_eq!(kit.left().await, 1);
}

#[tokio::test]
async fn rule_9_configuration_is_applied_by_its_version() {
    let kit = Kit::new().await;
    kit.load(&kit.config(), 3, Supply::Untouched).await;
    let config = |version, gate, limit_per_user| Config {
        version,
        gate,
        limit_per_user,
        guarded: version == 3,
        ..kit.config()
    };
    let newer = config(3, Gate::Paused, 5);
    assert_eq!(
        kit.stock.configure(&newer).await.unwrap(),
        Configured::Applied
    );
    let late = config(2, Gate::Open, 7);
    assert_eq!(
        kit.stock.configure(&late).await.unwrap(),
        Configured::Current
    );
    assert_eq!(
        kit.stock.configure(&newer).await.unwrap(),
        Configured::Current
    );
    let sale = kit.sale().await;
    assert_eq!((sale.version, sale.gate), (3, Gate::Paused));
    assert_eq!((sale.limit_per_user, sale.guarded), (5, true));
    assert_eq!(sale.starts_at, newer.starts_at);
    assert_eq!(sale.ends_at, newer.ends_at);
}
