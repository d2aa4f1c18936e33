use std::time::Duration;

use domain::{Money, OrderPlaced, RejectReason, SpikeId, Timestamp};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn ids(seed: u8) -> (OrderId, UserId) {
    (
        OrderId::mint(NOW, [seed; 10]),
        UserId::mint(NOW, [seed; 10]),
    )
}

fn event(seed: u8, units: &[Unit]) -> OrderPlaced {
    let (order_id, user_id) = ids(seed);
    OrderPlaced {
        order_id,
        spike_id: SpikeId::mint(NOW, [0; 10]),
        user_id,
        units: units.iter().copied().collect(),
    }
}

fn live(seed: u8, units: &[Unit]) -> Order {
    let price = Money {
        amount_minor: 1,
        currency: "EUR".parse().unwrap(),
    };
    Order::placed(&event(seed, units), price, NOW, Duration::from_mins(1))
}

fn ended(seed: u8, units: &[Unit]) -> Order {
    let price = Money {
        amount_minor: 1,
        currency: "EUR".parse().unwrap(),
    };
    Order::rejected(&event(seed, units), RejectReason::Limit, price, NOW)
}

fn held(seed: u8) -> UnitState {
    let (order_id, user_id) = ids(seed);
    UnitState::Held { order_id, user_id }
}

fn claimed(seed: u8) -> Holder {
    let (order_id, user_id) = ids(seed);
    Holder::Order { order_id, user_id }
}

#[test]
fn what_is_free_in_the_store_and_nobodys_in_redis_is_offered() {
    assert_eq!(finding(7, None, &UnitState::Missing, &[]), Finding::Offer);
    assert_eq!(finding(7, None, &UnitState::OnOffer, &[]), Finding::Agrees);
}

#[test]
fn a_reservation_without_an_order_is_in_flight_and_never_taken_back() {
    let (order_id, user_id) = ids(1);
    assert_eq!(
        finding(7, None, &held(1), &[]),
        Finding::InFlight { order_id, user_id }
    );
    assert_eq!(
        finding(7, None, &held(1), &[live(2, &[7])]),
        Finding::InFlight { order_id, user_id }
    );
}

#[test]
fn a_unit_held_by_an_ended_order_or_by_one_with_other_units_is_released() {
    let (order_id, user_id) = ids(1);
    let gone = Finding::Release {
        order_id,
        user_id,
        keep: Units::none(),
    };
    assert_eq!(finding(7, None, &held(1), &[ended(1, &[7])]), gone);
    let other = Finding::Release {
        order_id,
        user_id,
        keep: [8].into_iter().collect(),
    };
    assert_eq!(finding(7, None, &held(1), &[live(1, &[8])]), other);
    assert_eq!(
        finding(7, None, &held(1), &[live(1, &[7])]),
        Finding::Agrees
    );
}

#[test]
fn a_unit_that_the_store_gave_to_an_order_is_learnt() {
    let order = live(1, &[7]);
    let learn = |seen| Finding::Learn {
        truth: Truth::of(&order),
        seen,
    };
    let orders = [order.clone(), live(2, &[7])];
    for state in [UnitState::OnOffer, UnitState::Missing] {
        assert_eq!(finding(7, Some(claimed(1)), &state, &orders), learn(None));
    }
    let by_other = learn(Some(Seen::Order(ids(2).0)));
    assert_eq!(finding(7, Some(claimed(1)), &held(2), &orders), by_other);
    assert_eq!(
        finding(7, Some(claimed(1)), &UnitState::House, &orders),
        learn(Some(Seen::House))
    );
    assert_eq!(
        finding(7, Some(claimed(1)), &held(1), &orders),
        Finding::Agrees
    );
    assert_eq!(
        finding(7, Some(claimed(1)), &held(2), &[ended(1, &[7])]),
        Finding::Agrees
    );
}

#[test]
fn whether_the_house_keeps_a_unit_is_for_the_store_to_say() {
    assert_eq!(finding(7, None, &UnitState::House, &[]), Finding::Retire);
}

#[test]
fn a_retired_unit_on_offer_is_learnt_and_one_on_its_way_is_the_writers() {
    let retired = Some(Holder::House);
    let learn = |seen| Finding::Learn {
        truth: Truth::Retired,
        seen,
    };
    assert_eq!(finding(7, retired, &UnitState::OnOffer, &[]), learn(None));
    assert_eq!(finding(7, retired, &held(1), &[]), Finding::Agrees);
    assert_eq!(
        finding(7, retired, &held(1), &[ended(1, &[7])]),
        learn(Some(Seen::Order(ids(1).0)))
    );
    for state in [UnitState::House, UnitState::Missing] {
        assert_eq!(finding(7, retired, &state, &[]), Finding::Agrees);
    }
}
