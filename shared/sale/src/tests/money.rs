//! Money whose caller died, and orders that end while it is on its way (ADR 22).

use async_trait::async_trait;
use domain::{Money, Order, OrderId, OrderState, order::Payment};
use payments::{ChargeError, Method, NoAnswer, Payments};

use super::*;

/// A provider that does not answer.
struct Away;

#[async_trait]
impl Payments for Away {
    async fn charge(&self, _: OrderId, _: Money, _: Method) -> Result<Payment, ChargeError> {
        Err(ChargeError::Unavailable("away".into()))
    }

    async fn close(&self, _: OrderId) -> Result<Option<Payment>, NoAnswer> {
        Err(NoAnswer("away".into()))
    }
}

async fn placed(sale: &Sale) -> Order {
    let placed = sale.reserve(user(), 1).await;
    let order = sale.place(&placed).await;
    sale.stock.ack(&placed).await.unwrap();
    order
}

/// The provider takes the money, and nobody records it.
async fn charge(sale: &Sale, order: &Order) -> Payment {
    let charged = sale
        .payments
        .charge(order.id, order.total, Method::TestApprove);
    charged.await.unwrap()
}

async fn expire(sale: &Sale, payments: &dyn Payments, order: &Order) -> OrderState {
    let (store, now) = (sale.store.as_ref(), sale.stock.now());
    let expired = expire_order(store, &sale.stock, payments, order.id, now).await;
    match expired.unwrap() {
        Transitioned::Done(order) => order.state,
        other => panic!("{other:?}"),
    }
}

async fn cancel(sale: &Sale, payments: &dyn Payments, order: &Order) {
    let (store, now) = (sale.store.as_ref(), sale.stock.now());
    let (id, cancel) = (order.id, Transition::Cancel);
    let ended = end_order(store, &sale.stock, payments, id, cancel, now).await;
    assert!(matches!(ended.unwrap(), Transitioned::Done(_)));
}

#[tokio::test]
async fn fault_18_money_that_came_in_time_pays_its_order_though_nobody_recorded_it() {
    let sale = Sale::of(2).await;
    let order = placed(&sale).await;
    let payment = charge(&sale, &order).await;
    assert_eq!(
        expire(&sale, &*sale.payments, &order).await,
        OrderState::Paid
    );
    let paid = sale.order(order.id).await;
    assert_eq!((paid.payment, paid.refund), (Some(payment), None));
    assert_eq!(sale.check_at_rest().await.len(), 1);
}

#[tokio::test]
async fn an_order_without_money_expires_and_is_not_charged_afterwards() {
    let sale = Sale::of(2).await;
    let order = placed(&sale).await;
    assert_eq!(
        expire(&sale, &*sale.payments, &order).await,
        OrderState::Expired
    );
    assert!(sale.order(order.id).await.released);
    let late = sale
        .payments
        .charge(order.id, order.total, Method::TestApprove);
    assert!(matches!(late.await, Err(ChargeError::Closed)));
    assert_eq!(sale.check_at_rest().await.len(), 2);
}

#[tokio::test]
async fn fault_18_money_of_a_cancelled_order_is_owed_back_though_nobody_recorded_it() {
    let sale = Sale::of(2).await;
    let order = placed(&sale).await;
    let payment = charge(&sale, &order).await;
    cancel(&sale, &*sale.payments, &order).await;
    let ended = sale.order(order.id).await;
    assert_eq!(ended.refund.map(|refund| refund.payment), Some(payment));
    assert!(ended.released);
    assert_eq!(sale.check_at_rest().await.len(), 2);
}

#[tokio::test]
async fn a_provider_that_is_away_holds_up_no_unit_and_is_asked_again() {
    let sale = Sale::of(2).await;
    let (expiring, cancelled) = (placed(&sale).await, placed(&sale).await);
    for order in [&expiring, &cancelled] {
        charge(&sale, order).await;
    }
    assert_eq!(expire(&sale, &Away, &expiring).await, OrderState::Expired);
    cancel(&sale, &Away, &cancelled).await;
    assert_eq!(
        sale.check_at_rest().await.len(),
        2,
        "the units are on offer"
    );
    for order in [expiring, cancelled] {
        let ended = sale.order(order.id).await;
        assert!(!ended.released && ended.refund.is_none(), "{ended:?}");
        let finish = async |payments: &dyn Payments| {
            let (store, now) = (sale.store.as_ref(), sale.stock.now());
            finish_end(store, &sale.stock, payments, &ended, now)
                .await
                .unwrap()
        };
        assert!(!finish(&Away).await && !sale.order(order.id).await.released);
        assert!(finish(&*sale.payments).await);
        let settled = sale.order(order.id).await;
        assert!(settled.released && settled.refund.is_some(), "{settled:?}");
    }
}
