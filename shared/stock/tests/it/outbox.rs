//! The outbox, and the audit's lease.

use std::time::Duration;

use domain::Units;
use stock::UnitState;

use crate::kit::{Kit, an_hour_ago, units};

/// Makes the reservation look as if it was made long ago and is due.
async fn make_old(kit: &mut Kit, placed: &domain::OrderPlaced) {
    let (held, pending, member) = (kit.key("held"), kit.key("pending"), placed.member());
    let since = an_hour_ago(&kit.stock).as_millis();
    let holder = format!("{}|{}|{since}", placed.order_id, placed.user_id);
    for unit in placed.units.iter() {
        let _: u32 = kit
            .command(&["HSET", &held, &unit.to_string(), &holder])
            .await;
    }
    let _: u32 = kit.command(&["ZADD", &pending, "1", &member]).await;
}

#[tokio::test]
async fn an_entry_comes_when_it_is_due_and_is_moved_on_by_its_age() {
    let mut kit = Kit::running(9).await;
    let (young, old) = (kit.buy(1).await, kit.buy(3).await);
    assert!(
        kit.stock
            .take_due(kit.spike_id, 9)
            .await
            .unwrap()
            .is_empty()
    );
    make_old(&mut kit, &old).await;
    let due = kit.stock.take_due(kit.spike_id, 9).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].event, old);
    let age = due[0].age.as_secs();
    assert!((3590..=3900).contains(&age), "an hour: {age}");
    // Moved on by ten minutes at most, and not out of the outbox.
    assert!(
        kit.stock
            .take_due(kit.spike_id, 9)
            .await
            .unwrap()
            .is_empty()
    );
    let (pending, member) = (kit.key("pending"), old.member());
    let next: i64 = kit.command(&["ZSCORE", &pending, &member]).await;
    let wait = next - kit.stock.now().as_millis();
    assert!((500_000..=600_100).contains(&wait), "ten minutes: {wait}");

    // A young one comes again after five seconds.
    let member = young.member();
    let _: u32 = kit.command(&["ZADD", &pending, "1", &member]).await;
    assert_eq!(kit.stock.take_due(kit.spike_id, 9).await.unwrap().len(), 1);
    let next: i64 = kit.command(&["ZSCORE", &pending, &member]).await;
    assert!((next - kit.stock.now().as_millis()) > 0);
}

#[tokio::test]
async fn no_more_than_asked_for_are_taken() {
    let mut kit = Kit::running(3).await;
    for _ in 0..3 {
        let placed = kit.buy(1).await;
        make_old(&mut kit, &placed).await;
    }
    assert_eq!(kit.stock.take_due(kit.spike_id, 2).await.unwrap().len(), 2);
    assert_eq!(kit.stock.take_due(kit.spike_id, 2).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_age_of_a_reservation_that_lost_its_units_is_read_from_its_id() {
    let mut kit = Kit::running(3).await;
    let mut old = kit.stranger([1]);
    old.order_id = domain::OrderId::mint(an_hour_ago(&kit.stock), [7; 10]);
    let (pending, member) = (kit.key("pending"), old.member());
    let _: u32 = kit.command(&["ZADD", &pending, "1", &member]).await;
    // One that cannot be read does not hold it up.
    let _: u32 = kit.command(&["ZADD", &pending, "0", "no|sense"]).await;
    let due = kit.stock.take_due(kit.spike_id, 9).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].event, old);
    assert!(due[0].age >= Duration::from_secs(3590));
}

#[tokio::test]
async fn a_missing_entry_is_put_back_only_for_a_reservation_that_holds_all_units() {
    let mut kit = Kit::running(5).await;
    let placed = kit.buy(2).await;
    assert!(!kit.stock.put_pending(&placed).await.unwrap());
    assert!(kit.stock.ack(&placed).await.unwrap());
    assert!(kit.stock.put_pending(&placed).await.unwrap());
    // Due at once.
    assert_eq!(
        kit.stock.take_due(kit.spike_id, 9).await.unwrap()[0].event,
        placed
    );

    assert!(kit.stock.ack(&placed).await.unwrap());
    let mut more = placed.clone();
    more.units = units([1, 2, 3]);
    assert!(!kit.stock.put_pending(&more).await.unwrap());
    kit.release(&placed).await;
    assert!(!kit.stock.put_pending(&placed).await.unwrap());
    assert!(!kit.is_pending(&placed).await);
}

#[tokio::test]
async fn one_auditor_at_a_time_and_a_wish_is_fulfilled_by_the_audit_that_began_after_it() {
    let kit = Kit::running(5).await;
    assert!(kit.sale().await.audit_wanted, "a load asks for one");
    let (stock, spike_id) = (&kit.stock, kit.spike_id);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let lease = stock.lease_audit(spike_id).await.unwrap().unwrap();
    let started_at = lease.started_at;
    assert_eq!(stock.lease_audit(spike_id).await.unwrap(), None);
    stock
        .audited(spike_id, started_at, &Units::none())
        .await
        .unwrap();
    let sale = kit.sale().await;
    assert_eq!(
        (sale.audit_wanted, sale.audited_at),
        (false, Some(started_at))
    );

    // A conflict during the next audit asks for one more.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let lease = stock.lease_audit(spike_id).await.unwrap().unwrap();
    let started_at = lease.started_at;
    let stranger = kit.stranger([1]);
    assert!(kit.learn(1, &stranger, None).await);
    stock
        .audited(spike_id, started_at, &Units::none())
        .await
        .unwrap();
    assert!(kit.sale().await.audit_wanted);

    // An old audit that ends late neither ends the lease of the next nor counts for it.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let lease = stock.lease_audit(spike_id).await.unwrap().unwrap();
    let next = lease.started_at;
    stock
        .audited(spike_id, started_at, &Units::none())
        .await
        .unwrap();
    assert_eq!(stock.lease_audit(spike_id).await.unwrap(), None);
    stock.audited(spike_id, next, &Units::none()).await.unwrap();
    assert_eq!(kit.sale().await.audited_at, Some(next));
    assert!(matches!(kit.unit(1).await, UnitState::Held { .. }));
}

#[tokio::test]
async fn an_audit_that_is_given_up_makes_room_at_once() {
    let kit = Kit::running(5).await;
    let (stock, spike_id) = (&kit.stock, kit.spike_id);
    let lease = stock.lease_audit(spike_id).await.unwrap().unwrap();
    assert_eq!(stock.lease_audit(spike_id).await.unwrap(), None);
    let another = lease.started_at - Duration::from_secs(1);
    stock.give_up_audit(spike_id, another).await.unwrap();
    assert_eq!(stock.lease_audit(spike_id).await.unwrap(), None);
    let given_up = stock.give_up_audit(spike_id, lease.started_at).await;
    given_up.unwrap();
    assert!(kit.sale().await.audit_wanted, "it was not made");
    assert!(stock.lease_audit(spike_id).await.unwrap().is_some());
}

#[tokio::test]
async fn an_audit_is_told_what_the_last_one_found_wherever_it_ran() {
    let kit = Kit::running(5).await;
    let (stock, spike_id) = (&kit.stock, kit.spike_id);
    let many: Units = (1..=500).collect();
    for (found, kept) in [
        (units([2, 5]), units([2, 5])),
        (many, units(1..=100)),
        (Units::none(), Units::none()),
    ] {
        let lease = stock.lease_audit(spike_id).await.unwrap().unwrap();
        let audited = stock.audited(spike_id, lease.started_at, &found).await;
        audited.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let next = stock.lease_audit(spike_id).await.unwrap().unwrap();
        assert_eq!(next.differed, kept);
        let given_up = stock.give_up_audit(spike_id, next.started_at).await;
        given_up.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_was_not_sent_comes_sooner_and_never_comes_back() {
    let mut kit = Kit::running(9).await;
    let (waits, gone, other) = (kit.buy(1).await, kit.buy(1).await, kit.buy(1).await);
    let ids = [waits.order_id, gone.order_id, other.order_id];
    let pending = kit.stock.pending_ids(kit.spike_id).await.unwrap();
    assert_eq!(pending, ids.into());
    make_old(&mut kit, &waits).await;
    assert_eq!(kit.stock.take_due(kit.spike_id, 9).await.unwrap().len(), 1);
    assert!(kit.stock.ack(&gone).await.unwrap());
    let key = kit.key("pending");
    let unsent = [waits.clone(), gone];
    let sooner = kit
        .stock
        .send_sooner(kit.spike_id, &unsent, Duration::from_secs(30));
    sooner.await.unwrap();
    let next: i64 = kit.command(&["ZSCORE", &key, &waits.member()]).await;
    let wait = next - kit.stock.now().as_millis();
    assert!((0..=30_100).contains(&wait), "half a minute: {wait}");
    let pending = kit.stock.pending_ids(kit.spike_id).await.unwrap();
    assert_eq!(pending, [ids[0], ids[2]].into());
}
