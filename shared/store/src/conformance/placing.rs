//! Promises of [`crate::Orders`] about new orders.

use domain::{Order, RejectReason, Unit, Units, order::Transition};

use super::samples::{
    claims, event, eventually, held_by, later, must_end, must_place, now, order_id, payment, place,
    placed, placed_by, spike, user_id,
};
use crate::{Claim, Holder, Placement, Rejection, Retirement, Store};

/// A placed order is read back as it was written, by its id, by its buyer, and by what it holds.
pub async fn a_placed_order_holds_its_units(store: &dyn Store) {
    let spike = spike(9);
    let order = placed(&spike, &[2, 7, 8]);
    assert_eq!(
        store.live_order(spike.id, order.user_id).await.unwrap(),
        None
    );
    must_place(store, &order).await;
    assert_eq!(store.order(order.id).await.unwrap().as_ref(), Some(&order));
    assert_eq!(
        store
            .live_order(spike.id, order.user_id)
            .await
            .unwrap()
            .as_ref(),
        Some(&order)
    );
    assert_eq!(
        store
            .live_order(super::samples::spike(1).id, order.user_id)
            .await
            .unwrap(),
        None
    );
    assert_eq!(claims(store, &spike).await, held_by(&order));
    assert_eq!(
        store.claims(spike.id, 3, 7).await.unwrap(),
        held_by(&order)[1..2]
    );
    let asked: Units = [1, 2, 8, 9].into_iter().collect();
    let held = held_by(&order);
    assert_eq!(
        store.claims_on(spike.id, &asked).await.unwrap(),
        [held[0], held[2]]
    );
    assert_eq!(store.claims_on(spike.id, &Units::none()).await.unwrap(), []);
    assert_eq!(store.order(order_id(0)).await.unwrap(), None);
    assert_eq!(store.place(&[]).await.len(), 0);
}

/// Whatever else speaks against it: an order that is there is answered with, in its present state.
pub async fn an_order_that_is_there_is_the_first_reason(store: &dyn Store) {
    let spike = spike(9);
    let order = placed(&spike, &[1]);
    must_place(store, &order).await;
    assert_eq!(
        place(store, &order).await,
        Placement::Exists(Box::new(order.clone()))
    );

    // The same id with other units, some of them another's.
    let rival = placed(&spike, &[2]);
    must_place(store, &rival).await;
    let reassigned = Order {
        units: [2, 3].into_iter().collect(),
        ..order.clone()
    };
    assert_eq!(
        place(store, &reassigned).await,
        Placement::Exists(Box::new(order.clone()))
    );
    assert_eq!(
        claims(store, &spike).await,
        [held_by(&order), held_by(&rival)].concat()
    );

    store.pay(order.id, &payment(&order)).await.unwrap();
    let paid = store.order(order.id).await.unwrap().unwrap();
    assert_eq!(
        place(store, &order).await,
        Placement::Exists(Box::new(paid))
    );
}

/// A second order of the buyer is refused with the first one's id, even if its units are taken as well.
pub async fn a_buyer_has_one_live_order(store: &dyn Store) {
    let spike = spike(9);
    let first = placed(&spike, &[1]);
    must_place(store, &first).await;
    let second = placed_by(first.user_id, &spike, &[1, 2]);
    assert_eq!(place(store, &second).await, Placement::BuyerHas(first.id));
    assert_eq!(store.order(second.id).await.unwrap(), None);
    assert_eq!(claims(store, &spike).await, held_by(&first));
    must_place(
        store,
        &placed_by(first.user_id, &super::samples::spike(9), &[1]),
    )
    .await;
    must_end(store, &first, Transition::Cancel).await;
    must_place(store, &second).await;
}

/// Those units are named that others hold, with their holders; nothing of the refused order is written.
pub async fn taken_units_name_their_true_holders(store: &dyn Store) {
    let mut spike = spike(9);
    spike.settings.stock = 8;
    store.add_spike(&spike).await.unwrap();
    let (one, two) = (placed(&spike, &[1]), placed(&spike, &[4, 5]));
    must_place(store, &one).await;
    must_place(store, &two).await;
    assert_eq!(
        store.retire_unit(spike.id, 9).await.unwrap(),
        Retirement::Retired
    );

    let order = placed(&spike, &[1, 2, 5, 9]);
    let house = Claim {
        unit: 9,
        holder: Holder::House,
    };
    let taken = vec![held_by(&one)[0], held_by(&two)[1], house];
    assert_eq!(place(store, &order).await, Placement::UnitsTaken(taken));
    assert_eq!(store.order(order.id).await.unwrap(), None);
    assert_eq!(
        store.live_order(spike.id, order.user_id).await.unwrap(),
        None
    );
    assert_eq!(
        claims(store, &spike).await,
        [held_by(&one), held_by(&two), vec![house]].concat()
    );
    must_place(
        store,
        &Order {
            units: [2, 3].into_iter().collect(),
            ..order
        },
    )
    .await;
}

/// In one batch each order gets the answer that it would get alone.
pub async fn neighbours_in_a_batch_are_not_harmed(store: &dyn Store) {
    let spike = spike(20);
    let before = placed(&spike, &[1]);
    must_place(store, &before).await;
    let good = placed(&spike, &[2]);
    let batch = [
        good.clone(),
        before.clone(),
        placed_by(before.user_id, &spike, &[3]),
        placed(&spike, &[1, 4]),
        placed(&spike, &[5, 6]),
        good.clone(),
        placed_by(good.user_id, &spike, &[7]),
        placed(&spike, &[2, 8]),
    ];
    let answers: Vec<Placement> = store
        .place(&batch)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let written: Vec<bool> = answers
        .iter()
        .map(|answer| *answer == Placement::Written)
        .collect();
    // Which of two that share something comes first is not promised; that one of them is refused for it is.
    assert_eq!(
        [written[1], written[2], written[3], written[4]],
        [false, false, false, true]
    );
    assert_eq!(answers[1], Placement::Exists(Box::new(before.clone())));
    assert_eq!(answers[2], Placement::BuyerHas(before.id));
    assert_eq!(answers[3], Placement::UnitsTaken(held_by(&before)));
    for (order, written) in batch.iter().zip(&written) {
        if *written {
            assert_eq!(store.order(order.id).await.unwrap().as_ref(), Some(order));
        }
    }
    let unit_two = claims(store, &spike)
        .await
        .into_iter()
        .filter(|claim| claim.unit == 2);
    assert_eq!(unit_two.count(), 1);
    assert!(!written[0] || !(written[5] || written[6] || written[7]));
}

/// However many orders and units come together: one answer each, in their order.
pub async fn a_batch_of_any_size_is_answered_in_its_order(store: &dyn Store) {
    let spike = spike(2_000);
    let order = |n: Unit| {
        placed(
            &spike,
            &(1..=1 + n % 10)
                .map(|unit| n * 10 + unit)
                .collect::<Vec<_>>(),
        )
    };
    let mut orders: Vec<Order> = (0..60).map(order).collect();
    let taken = placed(&spike, &[171]);
    must_place(store, &taken).await;
    orders[30] = orders[3].clone();
    let answers: Vec<Placement> = store
        .place(&orders)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    for (index, (order, answer)) in orders.iter().zip(&answers).enumerate() {
        match index {
            17 => assert_eq!(*answer, Placement::UnitsTaken(held_by(&taken))),
            3 | 30 => assert!(matches!(answer, Placement::Written | Placement::Exists(_))),
            _ => assert_eq!((answer, index), (&Placement::Written, index)),
        }
        assert_eq!(store.order(order.id).await.unwrap().is_some(), index != 17);
    }
    assert_ne!(answers[3], answers[30]);
}

/// A rejection is written once, holds nothing, gives way to nobody, and is due until it is released.
pub async fn a_rejected_order_holds_nothing(store: &dyn Store) {
    let spike = spike(9);
    let event = event(user_id(), &spike, &[1, 2]);
    let order = Order::rejected(&event, RejectReason::SoldOut, spike.settings.price, now());
    assert_eq!(store.reject(&order).await.unwrap(), Rejection::Written);
    assert_eq!(store.order(order.id).await.unwrap().as_ref(), Some(&order));
    assert_eq!(
        store.reject(&order).await.unwrap(),
        Rejection::Exists(Box::new(order.clone()))
    );
    assert_eq!(claims(store, &spike).await, []);
    assert_eq!(
        store.live_order(spike.id, event.user_id).await.unwrap(),
        None
    );
    let placed_late = placed_by(event.user_id, &spike, &[1]);
    let same_id = Order {
        id: order.id,
        ..placed_late.clone()
    };
    assert_eq!(
        place(store, &same_id).await,
        Placement::Exists(Box::new(order.clone()))
    );
    must_place(store, &placed_late).await;
    let rejected = Order {
        reason: Some(RejectReason::Limit),
        ..Order::clone(&order)
    };
    let late = Order {
        id: placed_late.id,
        ..rejected
    };
    assert_eq!(
        store.reject(&late).await.unwrap(),
        Rejection::Exists(Box::new(placed_late))
    );

    let is_due = async || {
        store
            .due(later(0), 1000)
            .await
            .unwrap()
            .iter()
            .any(|due| due.id == order.id)
    };
    eventually(&is_due, |due| *due).await;
    store.mark_released(order.id).await.unwrap();
    eventually(&is_due, |due| !*due).await;
    assert!(store.order(order.id).await.unwrap().unwrap().released);
}

/// Of thousands of units those are found that are held.
pub async fn claims_are_found_in_long_ranges(store: &dyn Store) {
    let spike = spike(3_000);
    let orders = [
        placed(&spike, &[1]),
        placed(&spike, &[100, 101]),
        placed(&spike, &[2_999, 3_000]),
    ];
    for order in &orders {
        must_place(store, order).await;
    }
    let held: Vec<Claim> = orders.iter().flat_map(held_by).collect();
    assert_eq!(claims(store, &spike).await, held);
    assert_eq!(
        store
            .claims_on(spike.id, &(1..=3_000).collect())
            .await
            .unwrap(),
        held
    );
    assert_eq!(store.claims(spike.id, 5, 4).await.unwrap(), []);
}
