//! Raising, repairing and lowering what is on offer.

use domain::Units;
use stock::{Reserved, UnitState};

use crate::kit::{Kit, known, units};

#[tokio::test]
async fn raising_the_top_offers_the_new_units() {
    let kit = Kit::running(2).await;
    kit.buy(2).await;
    assert_eq!(kit.offer(5, []).await, 3);
    assert_eq!(kit.offer(5, []).await, 0);
    assert_eq!(kit.offer(4, []).await, 0);
    assert_eq!(kit.buy(3).await.units, units([3, 4, 5]));
}

#[tokio::test]
async fn offer_leaves_alone_what_is_held_retired_or_on_offer() {
    let kit = Kit::new().await;
    let holder = kit.stranger([1]);
    kit.load(&kit.config(), 6, known([2], &[&holder], [3]))
        .await;
    assert_eq!(kit.unit(4).await, UnitState::Missing);
    assert_eq!(kit.offer(6, 1..=7).await, 3);
    assert!(matches!(kit.unit(1).await, UnitState::Held { .. }));
    assert_eq!(kit.unit(3).await, UnitState::House);
    assert_eq!(kit.unit(7).await, UnitState::Missing);
    assert_eq!(kit.left().await, 4);
    assert_eq!(kit.buy(4).await.units, units([2, 4, 5, 6]));
}

#[tokio::test]
async fn offer_of_very_many_units_goes_in_chunks() {
    let kit = Kit::new().await;
    kit.load(&kit.config(), 25_000, known([], &[], [])).await;
    assert_eq!(kit.offer(25_000, 1..=25_000).await, 25_000);
    assert_eq!(kit.left().await, 25_000);
}

#[tokio::test]
async fn the_house_takes_what_is_on_offer_and_no_more() {
    let kit = Kit::running(5).await;
    let placed = kit.buy(3).await;
    kit.release_some(&placed, &units([2]), &units([1, 3])).await;
    let spike_id = kit.spike_id;
    assert_eq!(kit.stock.retire(spike_id, 0).await.unwrap(), Units::none());
    assert_eq!(kit.stock.retire(spike_id, 2).await.unwrap(), units([2, 4]));
    assert_eq!(kit.unit(2).await, UnitState::House);
    kit.stock.settle(spike_id, &units([2, 4])).await.unwrap();
    assert_eq!(kit.stock.retire(spike_id, 9).await.unwrap(), units([5]));
    kit.stock.settle(spike_id, &units([5])).await.unwrap();
    assert_eq!(kit.stock.retire(spike_id, 9).await.unwrap(), Units::none());
    assert_eq!(kit.ask(1).await, Reserved::SoldOut { left: 0 });
    assert!(matches!(kit.unit(1).await, UnitState::Held { .. }));
}

#[tokio::test]
async fn what_the_house_gives_back_can_be_bought() {
    let kit = Kit::running(3).await;
    let placed = kit.buy(1).await;
    assert_eq!(kit.stock.retire(kit.spike_id, 1).await.unwrap(), units([2]));
    // Only the house's: unit 1 is a buyer's, unit 3 is on offer already.
    let asked = units([1, 2, 3]);
    let given_back = kit.stock.unretire(kit.spike_id, &asked).await;
    assert_eq!(given_back.unwrap(), 1);
    assert_eq!(kit.hold(&placed).await.unwrap().units, units([1]));
    assert_eq!(kit.buy(2).await.units, units([2, 3]));
}

#[tokio::test]
async fn what_the_house_gave_back_and_took_again_is_still_remembered() {
    let kit = Kit::running(1).await;
    for _ in 0..2 {
        let taken = kit.stock.retire(kit.spike_id, 1).await.unwrap();
        assert_eq!((taken, kit.sale().await.retiring), (units([1]), 1));
        kit.stock.unretire(kit.spike_id, &units([1])).await.unwrap();
    }
}

#[tokio::test]
async fn fault_21_what_the_house_took_before_comes_before_anything_new() {
    let kit = Kit::running(9).await;
    let (stock, spike_id) = (&kit.stock, kit.spike_id);
    assert_eq!(stock.retire(spike_id, 3).await.unwrap(), units([1, 2, 3]));
    assert_eq!(kit.sale().await.retiring, 3);
    // Whoever took them died: the next one gets the same, and more only if it wants more.
    for most in [0, 2, 3] {
        let again = stock.retire(spike_id, most).await.unwrap();
        assert_eq!(again, units([1, 2, 3]));
    }
    assert_eq!(stock.retire(spike_id, 4).await.unwrap(), units(1..=4));
    stock.settle(spike_id, &units([1, 2])).await.unwrap();
    // What went back and was sold is nobody's to retire.
    stock.unretire(spike_id, &units([3])).await.unwrap();
    let buyer = kit.buy(5 + 1).await;
    assert!(buyer.units.contains(3));
    assert_eq!(stock.retire(spike_id, 9).await.unwrap(), units([4]));
    assert_eq!(kit.sale().await.retiring, 1);
    assert_eq!(kit.unit(1).await, UnitState::House);
}

#[tokio::test]
async fn the_house_can_take_everything_a_thousand_at_a_time() {
    let kit = Kit::running(2_500).await;
    for expected in [1..=1000, 1001..=2000, 2001..=2500] {
        let taken = kit.stock.retire(kit.spike_id, u32::MAX).await.unwrap();
        assert_eq!(taken, units(expected));
        kit.stock.settle(kit.spike_id, &taken).await.unwrap();
    }
    assert_eq!(kit.left().await, 0);
}
