//! Audits: what they repair, what they leave alone, and when they are made.

use runtime::testing::Lines;
use stock::{Reserved, UnitState};

use super::*;

#[tokio::test]
async fn a_difference_that_comes_back_is_an_incident_whoever_audits() {
    let sale = Sale::of(4).await;
    let (one, _) = settled(&sale).await;
    let (two, _) = settled(&sale).await;
    sale.place(&sale.lost(&[2])).await;
    ask_for_an_audit(&sale).await;
    let summary = run(&one).await.unwrap();
    assert_eq!((summary.repaired, summary.incidents), (1, 0));
    // Another process finds the same unit wrong again.
    forget(&sale, "HDEL", "held", "2").await;
    ask_for_an_audit(&sale).await;
    let summary = run(&two).await.unwrap();
    assert_eq!((summary.repaired, summary.incidents), (1, 1));
    ask_for_an_audit(&sale).await;
    assert_eq!(run(&one).await.unwrap().incidents, 0);
    assert_eq!(sale.check_at_rest().await.len(), 3);
}

/// Whoever reads the log can act on it: it names the order, the buyer and the unit.
#[tokio::test]
async fn what_was_repaired_is_logged_with_its_ids() {
    let sale = Sale::of(6).await;
    let (app, _) = settled(&sale).await;
    let unknown = sale.place(&sale.lost(&[2])).await;
    let unreleased = sale.reserve(user(), 1).await;
    let unreleased = sale.place(&unreleased).await;
    let end = sale
        .store
        .end(unreleased.id, Transition::Cancel, sale.stock.now());
    end.await.unwrap();
    sale.store.mark_released(unreleased.id).await.unwrap();
    ask_for_an_audit(&sale).await;
    let (lines, logging) = Lines::collect();
    assert_eq!(run(&app).await.unwrap().repaired, 2);
    drop(logging);
    let repaired = lines.of("difference repaired");
    for (difference, order) in [("holder-unknown", unknown), ("not-released", unreleased)] {
        let line = repaired.iter().find(|it| it["difference"] == difference);
        let line = line.unwrap_or_else(|| panic!("{difference} is not in {repaired:?}"));
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["spike.id"], sale.spike.id.to_string());
        assert_eq!(line["unit"], order.units.highest());
        assert_eq!(line["order.id"], order.id.to_string());
        assert_eq!(line["user.id"], order.user_id.to_string());
    }
    // Found wrong again, it is an incident.
    forget(&sale, "HDEL", "held", "2").await;
    ask_for_an_audit(&sale).await;
    let (lines, logging) = Lines::collect();
    assert_eq!(run(&app).await.unwrap().incidents, 1);
    drop(logging);
    let [incident] = &lines.of("incident: a repaired difference is there again")[..] else {
        panic!("{}", lines.text());
    };
    assert_eq!(
        (&incident["level"], &incident["unit"]),
        (&"ERROR".into(), &2.into())
    );
}

#[tokio::test]
async fn a_reservation_in_flight_gets_one_entry_with_all_its_units() {
    let sale = Sale::of(6).await;
    let (app, sink) = settled(&sale).await;
    let placed = sale.reserve(user(), 3).await;
    sale.stock.ack(&placed).await.unwrap();
    // Redis has forgotten whose mark it was; the units say it.
    forget(&sale, "HDEL", "buyers", &placed.user_id.to_string()).await;
    ask_for_an_audit(&sale).await;
    let summary = run(&app).await.unwrap();
    assert_eq!((summary.repaired, summary.incidents), (1, 0));
    assert_eq!(pending(&sale).await, 1);
    run(&app).await.unwrap();
    assert_eq!(*sink.sent.lock().unwrap(), std::slice::from_ref(&placed));
    // It is there, whatever the units of the entry: nothing is added.
    ask_for_an_audit(&sale).await;
    assert_eq!(run(&app).await.unwrap().repaired, 0);
    assert_eq!(pending(&sale).await, 1);
}

#[tokio::test]
async fn a_reservation_that_lost_a_unit_is_published_with_what_its_buyer_was_promised() {
    let sale = Sale::of(6).await;
    let (app, sink) = settled(&sale).await;
    let placed = sale.reserve(user(), 2).await;
    sale.stock.ack(&placed).await.unwrap();
    // Unit 1 is another's by the store.
    sale.place(&sale.lost(&[1])).await;
    ask_for_an_audit(&sale).await;
    run(&app).await.unwrap();
    run(&app).await.unwrap();
    assert_eq!(
        *sink.sent.lock().unwrap(),
        [placed],
        "the writer replaces it"
    );
}

#[tokio::test]
async fn a_live_order_whose_buyer_redis_forgot_is_the_buyers_again() {
    let sale = Sale::of(3).await;
    let (app, _) = settled(&sale).await;
    let placed = sale.reserve(user(), 2).await;
    let order = sale.place(&placed).await;
    sale.stock.ack(&placed).await.unwrap();
    // The units are still shown as theirs; only that they are a buyer is gone.
    forget(&sale, "HDEL", "buyers", &placed.user_id.to_string()).await;
    ask_for_an_audit(&sale).await;
    let summary = run(&app).await.unwrap();
    assert_eq!((summary.repaired, summary.incidents), (1, 0));
    sale.check_at_rest().await;
    let (_, answer) = sale.ask(placed.user_id, 1).await;
    assert!(
        matches!(answer, Reserved::Replay { order_id, .. } if order_id == order.id),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_audit_that_fails_gives_its_lease_back() {
    let sale = Sale::of(3).await;
    let (app, _) = settled(&sale).await;
    let mut redis = sale.redis.connection().await;
    let mut set = redis::cmd("HSET");
    set.arg(key(&sale, "buyers")).arg("nobody").arg("nothing");
    set.exec_async(&mut redis).await.unwrap();
    ask_for_an_audit(&sale).await;
    let summary = run(&app).await.unwrap();
    assert_eq!((summary.failed, summary.audited), (1, 0));
    forget(&sale, "HDEL", "buyers", "nobody").await;
    let summary = run(&app).await.unwrap();
    assert_eq!((summary.failed, summary.audited), (0, 1), "at once");
}

#[tokio::test]
async fn a_unit_of_the_house_that_no_lowering_knows_of_is_for_the_store_to_decide() {
    let sale = Sale::of(5).await;
    let (app, _) = settled(&sale).await;
    let taken = sale.stock.retire(sale.spike.id, 2).await.unwrap();
    sale.stock.settle(sale.spike.id, &taken).await.unwrap();
    // The admin lowers the stock by one after the audit has read the spike.
    let was = sale.stored().await;
    let mut lowered = was.clone();
    (lowered.version, lowered.settings.stock) = (2, 4);
    assert!(sale.store.replace_spike(&was, &lowered).await.unwrap());
    let mut sweep = crate::spike::Sweep::default();
    assert!(!crate::audit::audit(&app, &was, &mut sweep).await.unwrap());
    assert_eq!(sweep.summary.repaired, 2);
    assert_eq!(sale.stored().await.retired, 1);
    assert_eq!(sale.check_at_rest().await.len(), 4);
}

#[tokio::test]
async fn a_retirement_that_was_cut_off_is_finished_or_undone() {
    let sale = Sale::of(3).await;
    let (app, _) = settled(&sale).await;
    assert_eq!(sale.stock.retire(sale.spike.id, 1).await.unwrap().len(), 1);
    let summary = run(&app).await.unwrap();
    assert_eq!((summary.retired, summary.audited), (0, 0));
    assert_eq!(sale.check_at_rest().await.len(), 3);
}

#[tokio::test]
async fn fault_21_a_lowering_that_broke_off_takes_no_more_than_was_asked() {
    let sale = Sale::of(9).await;
    let (app, _) = settled(&sale).await;
    let was = sale.stored().await;
    let mut lowered = was.clone();
    (lowered.version, lowered.settings.stock) = (2, 6);
    assert!(sale.store.replace_spike(&was, &lowered).await.unwrap());
    // Whoever lowered it died between Redis and the store.
    let taken = sale.stock.retire(sale.spike.id, 3).await.unwrap();
    assert_eq!(run(&app).await.unwrap().retired, 3);
    let states = sale.stock.units(sale.spike.id, 1, 9).await.unwrap();
    let house = states.unwrap();
    let house = (1..)
        .zip(&house)
        .filter(|(_, state)| **state == UnitState::House);
    assert_eq!(
        house.map(|(unit, _)| unit).collect::<domain::Units>(),
        taken
    );
    assert_eq!(sale.check_at_rest().await.len(), 6);
}

#[tokio::test]
async fn an_ended_sale_with_an_open_order_is_not_audited_by_every_sweep() {
    let sale = long_over().await;
    let placed = sale.lost(&[1]);
    sale.place(&placed).await;
    let (app, _) = settled(&sale).await;
    // What the first audit repaired asked for another.
    assert_eq!(run(&app).await.unwrap().audited, 1);
    for _ in 0..2 {
        let summary = run(&app).await.unwrap();
        assert_eq!((summary.audited, summary.shelved), (0, 0));
    }
    // Redis loses it: all orders are looked at once, not by every sweep.
    sale.redis.flush().await;
    assert_eq!(run(&app).await.unwrap().shelved, 0);
    let now = sale.stock.now();
    sale.store
        .end(placed.order_id, Transition::Cancel, now)
        .await
        .unwrap();
    assert_eq!(run(&app).await.unwrap().shelved, 0, "not looked at again");
    let another = super::app(&sale, &Arc::default());
    assert_eq!(run(&another).await.unwrap().shelved, 1);
}

#[tokio::test]
async fn a_sale_is_not_shelved_while_something_is_pending() {
    let sale = long_over().await;
    let (app, _) = settled(&sale).await;
    assert!(sale.stored().await.shelved);
    // An event that was on its way for two days brings the sale back.
    let loaded = sale::load(
        sale.store.as_ref(),
        &sale.stock,
        sale.spike.id,
        sale::Loadable::Ended,
    );
    loaded.await.unwrap();
    let late = sale.lost(&[1]);
    let mut redis = sale.redis.connection().await;
    let mut add = redis::cmd("ZADD");
    add.arg(key(&sale, "pending"))
        .arg("9000000000000")
        .arg(late.member());
    add.exec_async(&mut redis).await.unwrap();
    assert_eq!(run(&app).await.unwrap().shelved, 0);
    assert!(sale.stock.ack(&late).await.unwrap());
    ask_for_an_audit(&sale).await;
    assert_eq!(run(&app).await.unwrap().shelved, 1);
    assert_eq!(sale.stock.sale(sale.spike.id).await.unwrap(), None);
}
