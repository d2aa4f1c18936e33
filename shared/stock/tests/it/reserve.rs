//! Every answer of `reserve`.

use std::time::Duration;

use domain::{Units, Verdict, spike::Gate};
use stock::{Config, Request, Reserved, Seen, Supply, Truth};

use crate::kit::{Kit, known, order, units, user};

#[tokio::test]
async fn a_win_is_held_marked_and_in_the_outbox() {
    let mut kit = Kit::running(5).await;
    let placed = kit.buy(1).await;
    assert_eq!(placed.units, units([1]));
    let hold = kit.hold(&placed).await.unwrap();
    assert_eq!(
        (hold.order_id, hold.units, hold.pending),
        (placed.order_id, units([1]), true)
    );
    assert!(
        matches!(kit.unit(1).await, stock::UnitState::Held { order_id, user_id, .. }
        if order_id == placed.order_id && user_id == placed.user_id)
    );
    let (pending, member) = (kit.key("pending"), placed.member());
    let due: i64 = kit.command(&["ZSCORE", &pending, &member]).await;
    let wait = due - kit.stock.now().as_millis();
    assert!(
        wait <= 5_000 && wait > -60_000,
        "published again after 5 s: {wait}"
    );
    let sale = kit.sale().await;
    assert_eq!(
        (sale.left, sale.next, sale.buyers, sale.pending),
        (4, 1, 1, 1)
    );
}

#[tokio::test]
async fn several_units_come_from_the_range_first_and_then_from_what_was_given_back() {
    let kit = Kit::running(5).await;
    let first = kit.buy(3).await;
    assert_eq!(first.units, units([1, 2, 3]));
    assert_eq!(kit.release(&first).await, 3);
    let second = kit.buy(4).await;
    assert!(second.units.contains(4) && second.units.contains(5));
    assert_eq!(second.units.len(), 4);
    assert_eq!(kit.hold(&second).await.unwrap().units, second.units);
    assert_eq!(kit.left().await, 1);
    let third = kit.buy(1).await;
    assert_eq!(first.units.without(&second.units), third.units);
}

#[tokio::test]
async fn a_replay_is_answered_before_every_other_check() {
    let mut kit = Kit::running(1).await;
    let placed = kit.buy(1).await;
    let replay = |pending| Reserved::Replay {
        order_id: placed.order_id,
        units: placed.units.clone(),
        pending,
    };
    // Sold out, another quantity, another reservation id.
    assert_eq!(kit.reserve(placed.user_id, order(), 1).await, replay(true));
    assert_eq!(kit.reserve(placed.user_id, order(), 99).await, replay(true));
    // Paused, closed, ended, guarded.
    let config = Config {
        version: 2,
        gate: Gate::Closed,
        ends_at: kit.stock.now() - Duration::from_secs(1),
        guarded: true,
        ..kit.config()
    };
    kit.stock.configure(&config).await.unwrap();
    assert_eq!(kit.reserve(placed.user_id, order(), 1).await, replay(true));
    assert!(kit.stock.ack(&placed).await.unwrap());
    assert_eq!(kit.reserve(placed.user_id, order(), 1).await, replay(false));
    assert!(!kit.is_pending(&placed).await);
}

#[tokio::test]
async fn a_sale_that_is_absent_is_not_loaded_and_no_script_makes_a_part_of_it() {
    let mut kit = Kit::new().await;
    let stranger = kit.stranger([1]);
    assert_eq!(kit.ask(1).await, Reserved::NotLoaded);
    assert_eq!(kit.release(&stranger).await, 0);
    assert_eq!(
        kit.reassign(&stranger, &units([1])).await,
        stock::Reassigned::NotLoaded
    );
    assert!(!kit.learn(1, &stranger, None).await);
    let (stock, spike_id) = (&kit.stock, kit.spike_id);
    assert_eq!(stock.offer(spike_id, 5, &units([1])).await.unwrap(), 0);
    assert!(stock.retire(spike_id, 5).await.unwrap().is_empty());
    assert_eq!(stock.unretire(spike_id, &units([1])).await.unwrap(), 0);
    assert_eq!(
        stock.configure(&kit.config()).await.unwrap(),
        stock::Configured::NotLoaded
    );
    assert!(!stock.ack(&stranger).await.unwrap());
    assert!(!stock.put_pending(&stranger).await.unwrap());
    assert_eq!(stock.lease_audit(spike_id).await.unwrap(), None);
    let none = Units::none();
    stock.audited(spike_id, stock.now(), &none).await.unwrap();
    assert_eq!(stock.sale(spike_id).await.unwrap(), None);
    assert_eq!(stock.units(spike_id, 1, 5).await.unwrap(), None);
    assert!(stock.take_due(spike_id, 5).await.unwrap().is_empty());
    let pattern = kit.key("*");
    let keys: Vec<String> = kit.command(&["KEYS", &pattern]).await;
    assert_eq!(keys, Vec::<String>::new());
}

#[tokio::test]
async fn the_window_is_told_by_redis_clock() {
    let kit = Kit::new().await;
    let now = kit.stock.now();
    let config = Config {
        starts_at: now + Duration::from_mins(10),
        ..kit.config()
    };
    kit.load(&config, 1, Supply::Untouched).await;
    assert!(matches!(
        kit.ask(1).await,
        Reserved::Early { ms: 1..=660_000 }
    ));
    let config = Config {
        version: 2,
        starts_at: now - Duration::from_secs(9),
        ends_at: now - Duration::from_secs(8),
        ..config
    };
    kit.stock.configure(&config).await.unwrap();
    assert_eq!(kit.ask(1).await, Reserved::Ended);
}

#[tokio::test]
async fn a_start_thousands_of_years_ahead_is_early() {
    let kit = Kit::new().await;
    let config = Config {
        starts_at: domain::Timestamp::from_millis(i64::MAX) - Duration::from_mins(1),
        ends_at: domain::Timestamp::from_millis(i64::MAX),
        ..kit.config()
    };
    kit.load(&config, 1, Supply::Untouched).await;
    assert!(matches!(kit.ask(1).await, Reserved::Early { ms } if ms > 200_000_000_000_000));
}

#[tokio::test]
async fn a_paused_sale_sells_nothing_until_it_is_resumed() {
    let kit = Kit::running(1).await;
    let mut config = Config {
        version: 2,
        gate: Gate::Paused,
        ..kit.config()
    };
    kit.stock.configure(&config).await.unwrap();
    assert_eq!(kit.ask(1).await, Reserved::Paused);
    (config.version, config.gate) = (3, Gate::Open);
    kit.stock.configure(&config).await.unwrap();
    kit.buy(1).await;
}

#[tokio::test]
async fn before_the_start_a_paused_sale_is_early_and_a_closed_one_is_over() {
    let kit = Kit::new().await;
    let mut config = Config {
        gate: Gate::Paused,
        starts_at: kit.stock.now() + Duration::from_mins(10),
        ..kit.config()
    };
    kit.load(&config, 1, Supply::Untouched).await;
    assert!(matches!(kit.ask(1).await, Reserved::Early { .. }));
    config.gate = Gate::Closed;
    kit.stock.configure(&config).await.unwrap();
    assert_eq!(kit.ask(1).await, Reserved::Ended);
}

#[tokio::test]
async fn a_closed_sale_is_over() {
    let kit = Kit::new().await;
    let config = Config {
        gate: Gate::Closed,
        ..kit.config()
    };
    kit.load(&config, 1, Supply::Untouched).await;
    assert_eq!(kit.ask(1).await, Reserved::Ended);
}

#[tokio::test]
async fn nobody_may_ask_for_more_than_the_limit() {
    let kit = Kit::new().await;
    let config = Config {
        limit_per_user: 2,
        ..kit.config()
    };
    kit.load(&config, 1, Supply::Untouched).await;
    // Before the stock is looked at.
    assert_eq!(kit.ask(3).await, Reserved::OverLimit { limit: 2 });
    assert_eq!(kit.ask(2).await, Reserved::SoldOut { left: 1 });
}

#[tokio::test]
async fn too_few_units_are_none() {
    let kit = Kit::running(4).await;
    let first = kit.buy(3).await;
    kit.release_some(&first, &units([2]), &units([1, 3])).await;
    assert_eq!(kit.ask(3).await, Reserved::SoldOut { left: 2 });
    assert_eq!(kit.left().await, 2);
    assert_eq!(kit.buy(2).await.units, units([2, 4]));
    assert_eq!(kit.ask(1).await, Reserved::SoldOut { left: 0 });
}

#[tokio::test]
async fn a_sale_without_units_is_sold_out() {
    let kit = Kit::running(0).await;
    assert_eq!(kit.ask(1).await, Reserved::SoldOut { left: 0 });
    let empty = Kit::new().await;
    empty.load(&empty.config(), 0, known([], &[], [])).await;
    assert_eq!(empty.ask(1).await, Reserved::SoldOut { left: 0 });
}

#[tokio::test]
async fn a_guarded_sale_needs_a_verdict_which_it_remembers() {
    let mut kit = Kit::new().await;
    let config = Config {
        guarded: true,
        ..kit.config()
    };
    kit.load(&config, 1, Supply::Untouched).await;
    let (user_id, denied_id) = (user(), user());
    let ask = |user_id, verdict| Request {
        spike_id: kit.spike_id,
        user_id,
        order_id: order(),
        quantity: 1,
        verdict,
    };
    let stock = kit.stock.clone();
    let request = ask(user_id, None);
    assert_eq!(stock.reserve(&request).await.unwrap(), Reserved::NeedAccess);

    // The reason may hold whatever the admin wrote.
    let denied = Verdict::Denied("Nur für |Große|, \"18+\"".into());
    let reason = Reserved::Denied("Nur für |Große|, \"18+\"".into());
    let request = ask(denied_id, Some(&denied));
    assert_eq!(stock.reserve(&request).await.unwrap(), reason);
    let request = ask(denied_id, None);
    assert_eq!(stock.reserve(&request).await.unwrap(), reason);
    assert_eq!(
        stock.verdict(kit.spike_id, denied_id).await.unwrap(),
        Some(denied.clone())
    );

    stock
        .remember_verdict(kit.spike_id, user_id, &Verdict::Allowed)
        .await
        .unwrap();
    let request = ask(user_id, None);
    assert_eq!(
        stock.reserve(&request).await.unwrap(),
        Reserved::Won(units([1]))
    );

    let key = kit.key(&format!("access:{user_id}"));
    let lifetime: i64 = kit.command(&["PTTL", &key]).await;
    assert!((1..=30_000).contains(&lifetime));
}

#[tokio::test]
async fn a_verdict_that_comes_along_is_used_and_kept() {
    let kit = Kit::new().await;
    let config = Config {
        guarded: true,
        ..kit.config()
    };
    kit.load(&config, 1, Supply::Untouched).await;
    let request = Request {
        spike_id: kit.spike_id,
        user_id: user(),
        order_id: order(),
        quantity: 1,
        verdict: Some(&Verdict::Allowed),
    };
    assert_eq!(
        kit.stock.reserve(&request).await.unwrap(),
        Reserved::Won(units([1]))
    );
    let kept = kit.stock.verdict(kit.spike_id, request.user_id).await;
    assert_eq!(kept.unwrap(), Some(Verdict::Allowed));
}

#[tokio::test]
async fn whatever_else_stands_in_place_of_a_verdict_denies() {
    let mut kit = Kit::new().await;
    let config = Config {
        guarded: true,
        ..kit.config()
    };
    kit.load(&config, 1, Supply::Untouched).await;
    let user_id = user();
    let key = kit.key(&format!("access:{user_id}"));
    let _: () = kit.command(&["SET", &key, "yes"]).await;
    assert!(matches!(
        kit.reserve(user_id, order(), 1).await,
        Reserved::Denied(_)
    ));
    // A mark that this version does not write guards, too.
    let sale = kit.key("sale");
    let _: u32 = kit.command(&["HDEL", &sale, "guarded"]).await;
    assert_eq!(kit.ask(1).await, Reserved::NeedAccess);
}

#[tokio::test]
async fn while_it_heals_nobody_can_reserve_and_it_lapses_by_itself() {
    let kit = Kit::running(3).await;
    let placed = kit.buy(1).await;
    let stranger = kit.stranger([1]);
    let truth = Truth::Order {
        order_id: stranger.order_id,
        user_id: stranger.user_id,
        units: stranger.units.clone(),
    };
    let seen = Some(Seen::Order(placed.order_id));
    let learned = kit
        .stock
        .learn(kit.spike_id, 1, &truth, seen, u64::from(u32::MAX));
    assert!(learned.await.unwrap());
    assert_eq!(kit.ask(1).await, Reserved::Healing);
    // Not the admin's pause: replays go on, and at most two seconds.
    assert!(matches!(
        kit.reserve(placed.user_id, order(), 1).await,
        Reserved::Replay { .. }
    ));
    let until = kit.sale().await.healing_until.unwrap();
    assert!(until.since(kit.stock.now()) <= Duration::from_secs(3));
    // A configuration does not end it early.
    let config = Config {
        version: 2,
        ..kit.config()
    };
    kit.stock.configure(&config).await.unwrap();
    let mut answer = Reserved::Healing;
    for _ in 0..400 {
        answer = kit.ask(1).await;
        if answer != Reserved::Healing {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(matches!(answer, Reserved::Won(_)), "{answer:?}");
}
