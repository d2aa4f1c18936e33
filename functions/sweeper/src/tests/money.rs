//! Money that nobody has recorded (ADR 22).

use payments::Method;

use super::*;

#[tokio::test]
async fn fault_18_money_without_a_record_pays_its_order_or_is_owed_back() {
    let sale = Sale::of(3).await;
    let (app, _) = settled(&sale).await;
    // Both buyers' `order-pay` died after the charge; one of them cancelled by a process that died, too.
    let mut orders = Vec::new();
    for _ in 0..2 {
        let placed = sale.reserve(user(), 1).await;
        let price = sale.spike.settings.price;
        let mut order = domain::Order::placed(&placed, price, sale.stock.now(), Duration::ZERO);
        order.pay_by = order.placed_at - Duration::from_millis(1);
        assert!(sale.store.place(std::slice::from_ref(&order)).await[0].is_ok());
        sale.stock.ack(&placed).await.unwrap();
        let charged = sale.payments.charge(order.id, price, Method::TestApprove);
        charged.await.unwrap();
        orders.push(order.id);
    }
    let cancelled = sale
        .store
        .end(orders[1], Transition::Cancel, sale.stock.now());
    cancelled.await.unwrap();
    let summary = run(&app).await.unwrap();
    assert_eq!((summary.paid, summary.expired, summary.released), (1, 0, 1));
    let paid = sale.order(orders[0]).await;
    assert_eq!((paid.state, paid.refund), (OrderState::Paid, None));
    let owed = sale.order(orders[1]).await;
    assert!(owed.refund.is_some() && owed.released, "{owed:?}");
    assert_eq!(sale.check_at_rest().await.len(), 2);
}
