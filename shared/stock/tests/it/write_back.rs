//! `release`, `ack`, `reassign` and `learn`.

use domain::Units;
use stock::{Hold, Reassigned, Release, Released, Reserved, Seen, Truth, UnitState};

use crate::kit::{Kit, known, order, units};

fn assigned(outcome: Reassigned) -> Units {
    match outcome {
        Reassigned::Units(units) => units,
        other => panic!("not reassigned: {other:?}"),
    }
}

#[tokio::test]
async fn an_ack_takes_out_exactly_the_entry_that_it_names() {
    let mut kit = Kit::running(5).await;
    let placed = kit.buy(2).await;
    let mut other_units = placed.clone();
    other_units.units = units([1, 3]);
    assert!(!kit.stock.ack(&other_units).await.unwrap());
    assert!(kit.is_pending(&placed).await);
    assert!(kit.stock.ack(&placed).await.unwrap());
    assert!(!kit.stock.ack(&placed).await.unwrap());
    assert_eq!(kit.hold(&placed).await.unwrap().units, units([1, 2]));
}

#[tokio::test]
async fn one_ack_takes_out_many_entries_and_no_other() {
    let mut kit = Kit::running(5).await;
    let (first, second, third) = (kit.buy(1).await, kit.buy(2).await, kit.buy(1).await);
    let mut other_units = second.clone();
    other_units.units = units([2]);
    let spike_id = first.spike_id;
    let acked = [first.clone(), other_units, third.clone()];
    assert_eq!(kit.stock.ack_all(spike_id, &acked).await.unwrap(), 2);
    assert!(!kit.is_pending(&first).await && !kit.is_pending(&third).await);
    assert!(kit.is_pending(&second).await);
}

#[tokio::test]
async fn a_release_gives_back_everything_once() {
    let mut kit = Kit::running(3).await;
    let placed = kit.buy(3).await;
    assert_eq!(kit.release(&placed).await, 3);
    assert_eq!(kit.release(&placed).await, 0);
    assert_eq!(kit.hold(&placed).await, None);
    assert!(!kit.is_pending(&placed).await);
    let sale = kit.sale().await;
    assert_eq!((sale.left, sale.buyers, sale.pending), (3, 0, 0));
    assert!(matches!(
        kit.reserve(placed.user_id, order(), 3).await,
        Reserved::Won(_)
    ));
}

#[tokio::test]
async fn an_order_that_keeps_units_keeps_its_buyers_mark() {
    let mut kit = Kit::running(5).await;
    let placed = kit.buy(3).await;
    let kept = units([1, 3]);
    assert_eq!(kit.release_some(&placed, &units([2]), &kept).await, 1);
    let hold = Hold {
        order_id: placed.order_id,
        units: kept,
        pending: false,
    };
    assert_eq!(kit.hold(&placed).await, Some(hold));
    assert!(!kit.is_pending(&placed).await);
    assert_eq!(kit.unit(2).await, UnitState::OnOffer);
    assert!(matches!(kit.unit(3).await, UnitState::Held { .. }));
}

#[tokio::test]
async fn a_release_takes_out_the_entry_of_a_reassigned_reservation_too() {
    let mut kit = Kit::running(5).await;
    let placed = kit.buy(2).await;
    assert!(
        kit.learn(1, &kit.stranger([1]), Some(Seen::Order(placed.order_id)))
            .await
    );
    let now_has = assigned(kit.reassign(&placed, &units([1])).await);
    // The order was written with the event's units after all and has ended.
    assert_eq!(kit.release(&placed).await, 1);
    let mut reassigned = placed.clone();
    reassigned.units = now_has;
    assert!(!kit.is_pending(&reassigned).await);
    assert_eq!(kit.hold(&placed).await, None);
}

#[tokio::test]
async fn of_two_who_clean_up_after_an_order_one_is_told_that_it_did() {
    let kit = Kit::running(5).await;
    let placed = kit.buy(2).await;
    let release = Release {
        spike_id: placed.spike_id,
        order_id: placed.order_id,
        user_id: placed.user_id,
        units: &placed.units,
        keep: &Units::none(),
    };
    let (one, other) = tokio::join!(kit.stock.release(&release), kit.stock.release(&release));
    let (one, other) = (one.unwrap(), other.unwrap());
    let (did, did_not) = if one.is_nothing() {
        (other, one)
    } else {
        (one, other)
    };
    let all = Released {
        offered: 2,
        forgotten: true,
    };
    assert_eq!((did, did_not), (all, Released::default()));
}

#[tokio::test]
async fn taken_units_are_replaced_and_the_others_stay() {
    let mut kit = Kit::running(6).await;
    let placed = kit.buy(3).await;
    let owner = kit.stranger([2]);
    assert!(
        kit.learn(2, &owner, Some(Seen::Order(placed.order_id)))
            .await
    );
    assert!(
        kit.is_pending(&placed).await,
        "the displaced one is still to be written"
    );
    let now_has = assigned(kit.reassign(&placed, &units([2])).await);
    assert_eq!(now_has, units([1, 3, 4]));
    assert!(!kit.is_pending(&placed).await);
    let mut moved = placed.clone();
    moved.units = now_has.clone();
    assert!(kit.is_pending(&moved).await);
    assert_eq!(kit.hold(&placed).await.unwrap().units, now_has);
    assert!(
        matches!(kit.unit(2).await, UnitState::Held { order_id, .. } if order_id == owner.order_id)
    );
    // Once more, with the same event: the same units.
    assert_eq!(assigned(kit.reassign(&placed, &units([2])).await), now_has);
    assert_eq!(
        assigned(kit.reassign(&placed, &placed.units).await),
        now_has
    );
    assert_eq!(kit.left().await, 2);
}

#[tokio::test]
async fn a_reassignment_needs_no_hold() {
    let mut kit = Kit::running(4).await;
    // Redis has lost everything about this reservation: units 2 and 3 are on offer, in the range.
    let lost = kit.stranger([1, 2, 3]);
    let now_has = assigned(kit.reassign(&lost, &units([1])).await);
    assert_eq!(now_has.len(), 3);
    assert!(now_has.contains(2) && now_has.contains(3));
    assert_eq!(kit.hold(&lost).await.unwrap().units, now_has);
    assert_eq!(kit.left().await, 1);
    let mut moved = lost.clone();
    moved.units = now_has.clone();
    assert!(kit.is_pending(&moved).await);
    // All units are somebody's exactly once.
    let rest = kit.buy(1).await;
    assert!(!now_has.contains(rest.units.highest()));
}

#[tokio::test]
async fn a_kept_unit_that_another_holds_stays_contested() {
    let kit = Kit::running(4).await;
    let other = kit.buy(1).await;
    let lost = kit.stranger([1, 9]);
    let now_has = assigned(kit.reassign(&lost, &units([9])).await);
    assert_eq!(now_has, units([1, 2]));
    assert!(
        matches!(kit.unit(1).await, UnitState::Held { order_id, .. } if order_id == other.order_id)
    );
}

#[tokio::test]
async fn taken_units_that_redis_still_shows_as_ours_are_nobodys_afterwards() {
    let kit = Kit::running(3).await;
    let placed = kit.buy(1).await;
    assert_eq!(
        assigned(kit.reassign(&placed, &units([1])).await),
        units([2])
    );
    assert_eq!(kit.unit(1).await, UnitState::Missing);
    assert_eq!(kit.left().await, 1);
}

#[tokio::test]
async fn without_enough_units_nothing_changes() {
    let mut kit = Kit::running(4).await;
    let placed = kit.buy(3).await;
    let before = kit.snapshot().await;
    assert_eq!(
        kit.reassign(&placed, &units([1, 2])).await,
        Reassigned::SoldOut
    );
    assert_eq!(kit.snapshot().await, before);
    // Its own kept units that are on offer are not enough either.
    let lost = kit.stranger([4, 7, 8]);
    assert_eq!(kit.reassign(&lost, &units([7])).await, Reassigned::SoldOut);
    assert_eq!(kit.snapshot().await, before);
}

#[tokio::test]
async fn a_reassignment_takes_given_back_units_and_a_kept_one_off_the_offer() {
    let kit = Kit::running(3).await;
    let placed = kit.buy(3).await;
    kit.release(&placed).await;
    // Unit 2 is on offer, in the set.
    let lost = kit.stranger([2, 3]);
    let now_has = assigned(kit.reassign(&lost, &units([3])).await);
    assert_eq!(now_has.len(), 2);
    assert!(now_has.contains(2));
    assert_eq!(kit.left().await, 1);
}

#[tokio::test]
async fn learning_works_while_redis_shows_what_the_caller_saw() {
    let kit = Kit::running(5).await;
    let (seen, other) = (kit.buy(1).await, kit.buy(1).await);
    let owner = kit.stranger([1, 5]);
    // Somebody else by now.
    assert!(
        !kit.learn(1, &owner, Some(Seen::Order(other.order_id)))
            .await
    );
    assert!(!kit.learn(1, &owner, Some(Seen::House)).await);
    assert!(!kit.learn(1, &owner, None).await);
    // As seen; then the truth is there already.
    assert!(kit.learn(1, &owner, Some(Seen::Order(seen.order_id))).await);
    assert!(!kit.learn(1, &owner, None).await);
    assert!(
        matches!(kit.unit(1).await, UnitState::Held { order_id, user_id, .. }
        if order_id == owner.order_id && user_id == owner.user_id)
    );
    let hold = kit.hold(&owner).await.unwrap();
    assert_eq!((hold.units, hold.pending), (units([1, 5]), false));
    // The displaced one keeps its mark and its entry.
    assert!(kit.hold(&seen).await.unwrap().pending);
}

#[tokio::test]
async fn a_learned_unit_is_cut_out_of_the_range_and_of_the_set() {
    let kit = Kit::running(3_005).await;
    let owner = kit.stranger([3_001]);
    assert!(kit.learn(3_001, &owner, None).await);
    let sale = kit.sale().await;
    assert_eq!((sale.next, sale.left), (3_001, 3_004));
    // The range is left first, then the set.
    assert_eq!(kit.buy(4).await.units, units([3_002, 3_003, 3_004, 3_005]));
    assert!(kit.learn(7, &kit.stranger([7]), None).await);
    assert_eq!(kit.left().await, 2_999);
    assert!(matches!(kit.unit(7).await, UnitState::Held { .. }));
}

#[tokio::test]
async fn a_unit_above_the_top_raises_it_and_offers_nothing_that_the_store_did_not_name() {
    let kit = Kit::running(3).await;
    kit.buy(1).await;
    let owner = kit.stranger([6]);
    assert!(kit.learn(6, &owner, None).await);
    let sale = kit.sale().await;
    assert_eq!((sale.top, sale.next, sale.left), (6, 6, 2));
    assert_eq!(kit.unit(2).await, UnitState::OnOffer);
    assert_eq!(kit.unit(4).await, UnitState::Missing);
    // The sweeper raises it later: what lies between comes by name, what lies above as a range.
    assert_eq!(kit.offer(8, [4, 5, 7, 8]).await, 4);
    assert_eq!(kit.left().await, 6);
    assert!(!kit.buy(6).await.units.contains(6));
}

#[tokio::test]
async fn a_retired_unit_is_the_houses_and_never_on_offer_again() {
    let kit = Kit::running(3).await;
    let placed = kit.buy(1).await;
    let learn = |unit, seen| {
        kit.stock
            .learn(kit.spike_id, unit, &Truth::Retired, seen, 0)
    };
    assert!(learn(2, None).await.unwrap());
    assert!(!learn(1, None).await.unwrap());
    assert!(learn(1, Some(Seen::Order(placed.order_id))).await.unwrap());
    assert_eq!(kit.unit(1).await, UnitState::House);
    assert_eq!(kit.release(&placed).await, 0);
    assert_eq!(kit.offer(3, [1, 2, 3]).await, 0);
    assert_eq!(kit.buy(1).await.units, units([3]));
    // Unless the store says that it is a buyer's after all.
    let owner = kit.stranger([2]);
    assert!(kit.learn(2, &owner, Some(Seen::House)).await);
    assert!(matches!(kit.unit(2).await, UnitState::Held { .. }));
}

#[tokio::test]
async fn learning_asks_for_an_audit() {
    let kit = Kit::new().await;
    kit.load(&kit.config(), 3, known([1, 2, 3], &[], [])).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let audit = async || {
        let lease = kit.stock.lease_audit(kit.spike_id).await.unwrap();
        let (started_at, none) = (lease.unwrap().started_at, Units::none());
        let audited = kit.stock.audited(kit.spike_id, started_at, &none);
        audited.await.unwrap();
    };
    audit().await;
    assert!(!kit.sale().await.audit_wanted);
    let (owner, house) = (kit.stranger([2]), Truth::Retired);
    assert!(kit.learn(2, &owner, None).await);
    assert!(
        kit.stock
            .learn(kit.spike_id, 3, &house, None, 0)
            .await
            .unwrap()
    );
    let sale = kit.sale().await;
    assert!(sale.audit_wanted);
    assert_eq!(sale.healing_until, None);

    // What Redis shows already is no news.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    audit().await;
    assert!(!kit.learn(2, &owner, None).await);
    assert!(
        !kit.stock
            .learn(kit.spike_id, 3, &house, None, 9)
            .await
            .unwrap()
    );
    let sale = kit.sale().await;
    assert_eq!((sale.audit_wanted, sale.healing_until), (false, None));
}
