//! The engine commits, and the answer is lost: the repetition within the call must tell the truth.

use domain::order::Transition;

use super::saboteur::{Fate, Sabotaged};
use crate::{
    DeadLetter, DeadLetters, Mark, Orders, Placement, Refunded, Rejection, Retirement, Rotation,
    Session, Sessions, Spikes, Transitioned, Users,
    conformance::samples::{
        claims, held_by, later, must_place, now, payment, place, placed, spike, user, user_id,
    },
};

/// Every other request of the operation is done, and its answer is lost.
async fn forgetful(operation: &'static str) -> Sabotaged {
    Sabotaged::new(operation, |call, _| {
        if call % 2 == 0 {
            Fate::LoseAnswer
        } else {
            Fate::Pass
        }
    })
    .await
}

#[tokio::test]
async fn fault_09_an_order_whose_commit_went_unheard_is_written_once() {
    let engine = forgetful("TransactWriteItems").await;
    let sale = spike(9);
    let order = placed(&sale, &[1, 2]);
    assert_eq!(place(&engine.store, &order).await, Placement::Written);
    assert_eq!(engine.calls(), 2);
    let cancelled = engine
        .store
        .end(order.id, Transition::Cancel, later(10))
        .await
        .unwrap();
    let Transitioned::Done(cancelled) = cancelled else {
        panic!("{cancelled:?}")
    };
    assert_eq!(claims(&engine.honest, &sale).await, []);

    // The engine remembers tokens for ten minutes: a new call must not be answered with the old one's success.
    assert_eq!(
        place(&engine.store, &order).await,
        Placement::Exists(cancelled)
    );
    assert_eq!(claims(&engine.honest, &sale).await, []);
    let batch = [3, 4, 5].map(|unit| placed(&sale, &[unit]));
    for answer in engine.store.place(&batch).await {
        assert_eq!(answer.unwrap(), Placement::Written);
    }
    assert_eq!(
        claims(&engine.honest, &sale).await,
        batch.iter().flat_map(held_by).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_payment_that_went_unheard_is_done() {
    let engine = forgetful("UpdateItem").await;
    let order = placed(&spike(9), &[1]);
    must_place(&engine.honest, &order).await;
    let done = engine.store.pay(order.id, &payment(&order)).await.unwrap();
    assert_eq!(engine.calls(), 2);
    let paid = engine.honest.order(order.id).await.unwrap().unwrap();
    assert_eq!(done, Transitioned::Done(Box::new(paid.clone())));
    let other = domain::order::Payment {
        payment_id: "other".into(),
        ..payment(&order)
    };
    assert_eq!(
        engine.store.pay(order.id, &other).await.unwrap(),
        Transitioned::NotPlaced(Box::new(paid))
    );
}

#[tokio::test]
async fn marks_and_refunds_that_went_unheard_are_recorded_once() {
    let engine = forgetful("UpdateItem").await;
    let order = placed(&spike(9), &[1]);
    must_place(&engine.honest, &order).await;
    engine
        .honest
        .end(order.id, Transition::Expire, later(10))
        .await
        .unwrap();
    engine.store.mark_released(order.id).await.unwrap();
    let refund = domain::order::Refund {
        payment: payment(&order),
        recorded_at: later(20),
    };
    let recorded = engine.store.refund(order.id, &refund).await.unwrap();
    let owed = engine.honest.order(order.id).await.unwrap().unwrap();
    assert_eq!((owed.refund.as_ref(), owed.released), (Some(&refund), true));
    assert_eq!(recorded, Refunded::Recorded(Box::new(owed)));
}

#[tokio::test]
async fn a_retirement_that_went_unheard_counts_once() {
    let engine = forgetful("TransactWriteItems").await;
    let was = spike(3);
    engine.store.add_spike(&was).await.unwrap();
    let mut lowered = domain::Spike {
        version: 2,
        ..was.clone()
    };
    lowered.settings.stock = 1;
    assert!(engine.store.replace_spike(&was, &lowered).await.unwrap());
    assert_eq!(
        engine.store.retire_unit(was.id, 1).await.unwrap(),
        Retirement::Retired
    );
    assert_eq!(
        engine.store.spike(was.id).await.unwrap().unwrap().retired,
        1
    );
}

#[tokio::test]
async fn writes_of_admins_that_went_unheard_are_theirs() {
    let engine = forgetful("UpdateItem").await;
    let was = spike(3);
    engine.store.add_spike(&was).await.unwrap();
    let now = domain::Spike {
        version: 2,
        paused: true,
        ..was.clone()
    };
    assert!(engine.store.replace_spike(&was, &now).await.unwrap());
    let rival = domain::Spike {
        version: 2,
        top: 4,
        ..was.clone()
    };
    assert!(!engine.store.replace_spike(&was, &rival).await.unwrap());
    assert!(engine.store.mark_spike(&now, Mark::Closed).await.unwrap());

    let first = user();
    assert_eq!(
        engine
            .store
            .add_users(std::slice::from_ref(&first))
            .await
            .unwrap(),
        [true]
    );
    let second = domain::User {
        version: 2,
        display_name: None,
        ..first.clone()
    };
    assert!(engine.store.replace_user(&second).await.unwrap());
    assert!(
        !engine
            .store
            .replace_user(&domain::User {
                version: 2,
                roles: vec![],
                ..first
            })
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn accounts_whose_addition_went_unheard_are_added() {
    let engine = forgetful("TransactWriteItems").await;
    let users: Vec<_> = (0..60).map(|_| user()).collect();
    assert_eq!(
        engine.store.add_users(&users).await.unwrap(),
        vec![true; 60]
    );
    assert_eq!(
        engine.store.add_users(&users).await.unwrap(),
        vec![true; 60]
    );
    let rivals: Vec<_> = users
        .iter()
        .map(|held| domain::User {
            username: held.username.clone(),
            ..user()
        })
        .collect();
    assert_eq!(
        engine.store.add_users(&rivals).await.unwrap(),
        vec![false; 60]
    );
}

#[tokio::test]
async fn a_rotation_that_went_unheard_does_not_revoke_its_family() {
    let engine = forgetful("TransactWriteItems").await;
    let hash = || format!("{:032x}", rand::random::<u128>());
    let first = Session {
        token_hash: hash(),
        family: hash(),
        user_id: user_id(),
        credentials_version: 1,
        expires_at: later(1000),
    };
    engine.store.open_session(&first).await.unwrap();
    let second = Session {
        token_hash: hash(),
        ..first.clone()
    };
    let third = Session {
        token_hash: hash(),
        ..first.clone()
    };
    assert_eq!(
        engine
            .store
            .rotate_session(&first.token_hash, &second, now())
            .await
            .unwrap(),
        Rotation::Rotated
    );
    assert_eq!(
        engine
            .store
            .rotate_session(&second.token_hash, &third, now())
            .await
            .unwrap(),
        Rotation::Rotated
    );
}

#[tokio::test]
async fn a_revocation_that_went_unheard_is_this_calls() {
    let engine = forgetful("UpdateItem").await;
    let hash = || format!("{:032x}", rand::random::<u128>());
    let first = Session {
        token_hash: hash(),
        family: hash(),
        user_id: user_id(),
        credentials_version: 1,
        expires_at: later(1000),
    };
    engine.store.open_session(&first).await.unwrap();
    let next = Session {
        token_hash: hash(),
        ..first.clone()
    };
    engine
        .store
        .rotate_session(&first.token_hash, &next, now())
        .await
        .unwrap();
    let again = engine
        .store
        .rotate_session(&first.token_hash, &next, now())
        .await
        .unwrap();
    assert_eq!(again, Rotation::Reused(first.user_id));
    let again = engine
        .store
        .rotate_session(&first.token_hash, &next, now())
        .await
        .unwrap();
    assert_eq!(again, Rotation::Revoked);
}

#[tokio::test]
async fn puts_and_deletions_that_went_unheard_are_done() {
    let engine = forgetful("PutItem").await;
    let sale = spike(3);
    assert!(engine.store.add_spike(&sale).await.unwrap());
    let event = crate::conformance::samples::event(user_id(), &sale, &[1]);
    let rejected = domain::Order::rejected(
        &event,
        domain::RejectReason::Limit,
        sale.settings.price,
        now(),
    );
    assert_eq!(
        engine.store.reject(&rejected).await.unwrap(),
        Rejection::Written
    );
    assert_eq!(
        engine.honest.reject(&rejected).await.unwrap(),
        Rejection::Exists(Box::new(rejected))
    );
    let letter = DeadLetter {
        id: "1".into(),
        body: String::new(),
        reason: String::new(),
        received_at: now(),
        redriven_at: None,
    };
    engine.store.add_dead_letter(&letter).await.unwrap();

    let engine = forgetful("DeleteItem").await;
    assert!(engine.honest.add_spike(&sale).await.unwrap());
    assert!(engine.store.delete_spike(sale.id, 1).await.unwrap());
    assert!(!engine.honest.delete_spike(sale.id, 1).await.unwrap());
}
