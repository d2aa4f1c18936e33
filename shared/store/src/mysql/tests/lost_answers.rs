//! Every request and every answer of every call is lost once, with the connection: the call comes to the same end as if
//! nothing had happened, and never takes its own work for another's.

use domain::{
    Order, RejectReason, Spike, User,
    order::{Refund, Transition},
};

use super::{
    super::PATIENT,
    MySqlStore,
    tap::{Loss, Tap},
};
use crate::{
    Placement, Refunded, Rejection, Retirement, Rotation, Session, Store, Transitioned,
    conformance::samples::{
        claims, event, held_by, later, must_end, must_place, now, order_id, payment, placed, spike,
        user, user_id,
    },
    testing::mysql_store,
};

/// Does `call` again and again, each time with another of its requests lost, until none is left to lose.
async fn with_every_loss(call: impl AsyncFn(&dyn Store, &dyn Store)) {
    let (honest, database) = mysql_store().await;
    for loss in [Loss::Request, Loss::Answer] {
        let mut lost = 0;
        for passing in 0.. {
            let tap = Tap::before(database.url(), loss).await;
            let store = MySqlStore::lazily(&tap.url, PATIENT).unwrap();
            // The connection stands already, so that it is the call that is hit.
            drop(store.pool.acquire().await.unwrap());
            tap.arm(passing);
            call(&store, &honest).await;
            if !tap.disarm() {
                break;
            }
            lost += 1;
            assert!(lost < 100, "the call never ends");
        }
        assert!(lost > 0, "nothing was lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placed_order_is_this_calls_work() {
    with_every_loss(async |store, honest| {
        let sale = spike(9);
        let orders = [placed(&sale, &[1, 2]), placed(&sale, &[3])];
        for answer in store.place(&orders).await {
            assert_eq!(answer.unwrap(), Placement::Written);
        }
        let held = [held_by(&orders[0]), held_by(&orders[1])].concat();
        assert_eq!(claims(honest, &sale).await, held);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anothers_stays_anothers() {
    with_every_loss(async |store, honest| {
        let sale = spike(9);
        let order = placed(&sale, &[1]);
        must_place(honest, &order).await;
        let rival = placed(&sale, &[1]);
        let answers = store.place(&[order.clone(), rival]).await;
        let answers: Vec<Placement> = answers.into_iter().map(Result::unwrap).collect();
        let exists = Placement::Exists(Box::new(order.clone()));
        assert_eq!(answers, [exists, Placement::UnitsTaken(held_by(&order))]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transitions_are_made_once() {
    with_every_loss(async |store, honest| {
        let sale = spike(9);
        let (paid, ended) = (placed(&sale, &[1]), placed(&sale, &[2, 3]));
        must_place(honest, &paid).await;
        must_place(honest, &ended).await;
        let pay = store.pay(paid.id, &payment(&paid)).await.unwrap();
        assert!(matches!(pay, Transitioned::Done(_)), "{pay:?}");
        let again = store.pay(paid.id, &payment(&paid)).await.unwrap();
        assert!(matches!(again, Transitioned::NotPlaced(_)), "{again:?}");
        let end = store
            .end(ended.id, Transition::Cancel, later(10))
            .await
            .unwrap();
        assert!(matches!(end, Transitioned::Done(_)), "{end:?}");
        let again = store
            .end(ended.id, Transition::Cancel, later(10))
            .await
            .unwrap();
        assert!(matches!(again, Transitioned::NotPlaced(_)), "{again:?}");
        assert_eq!(claims(honest, &sale).await, held_by(&paid));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_orders_are_settled_once() {
    with_every_loss(async |store, honest| {
        let sale = spike(9);
        let order = placed(&sale, &[1]);
        must_place(honest, &order).await;
        let ended = must_end(honest, &order, Transition::Expire).await;
        let refund = Refund {
            payment: payment(&order),
            recorded_at: later(20),
        };
        store.mark_released(order.id).await.unwrap();
        let recorded = store.refund(order.id, &refund).await.unwrap();
        let owed = Order {
            refund: Some(refund),
            released: true,
            ..ended
        };
        assert_eq!(recorded, Refunded::Recorded(Box::new(owed)));
        let asked = event(user_id(), &sale, &[4]);
        let rejected = Order::rejected(&asked, RejectReason::SoldOut, sale.settings.price, now());
        assert_eq!(store.reject(&rejected).await.unwrap(), Rejection::Written);
        let again = store.reject(&rejected).await.unwrap();
        assert_eq!(again, Rejection::Exists(Box::new(rejected)));
        assert_eq!(store.order(order_id(0)).await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_retired_once() {
    with_every_loss(async |store, honest| {
        let sale = spike(5);
        assert!(store.add_spike(&sale).await.unwrap());
        let mut lowered = Spike {
            version: 2,
            ..sale.clone()
        };
        lowered.settings.stock = 4;
        assert!(store.replace_spike(&sale, &lowered).await.unwrap());
        assert_eq!(
            store.retire_unit(sale.id, 1).await.unwrap(),
            Retirement::Retired
        );
        assert_eq!(honest.spike(sale.id).await.unwrap().unwrap().retired, 1);
        assert!(store.next_epoch(sale.id).await.unwrap().is_some());
        assert!(store.delete_spike(sale.id, 2).await.unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_sessions_are_made_once() {
    with_every_loss(async |store, _| {
        let (one, two) = (user(), user());
        let added = store.add_users(&[one.clone(), two]).await.unwrap();
        assert_eq!(added, [true, true]);
        let next = User {
            version: 2,
            roles: vec![],
            ..one
        };
        assert!(store.replace_user(&next).await.unwrap());

        let session = Session {
            token_hash: format!("{:032x}", rand::random::<u128>()),
            family: format!("{:032x}", rand::random::<u128>()),
            user_id: user_id(),
            credentials_version: 1,
            expires_at: later(1000),
        };
        let successor = |text: &str| Session {
            token_hash: format!("{}-{text}", session.token_hash),
            ..session.clone()
        };
        store.open_session(&session).await.unwrap();
        let (second, third) = (successor("2"), successor("3"));
        let rotate = |next| store.rotate_session(&session.token_hash, next, now());
        assert_eq!(rotate(&second).await.unwrap(), Rotation::Rotated);
        assert_eq!(
            rotate(&third).await.unwrap(),
            Rotation::Reused(session.user_id)
        );
        assert_eq!(rotate(&third).await.unwrap(), Rotation::Revoked);
    })
    .await;
}
