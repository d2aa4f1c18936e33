//! Money that nobody has recorded (ADR 22).

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use domain::{Money, Order, OrderId, order::Payment};
use payments::{ChargeError, Method, NoAnswer};

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

/// A provider that is away at first, and counts how often it is asked.
struct Away {
    provider: Arc<dyn Payments>,
    silent: AtomicBool,
    asked: AtomicU32,
}

#[async_trait]
impl Payments for Away {
    async fn charge(
        &self,
        order_id: OrderId,
        total: Money,
        method: Method,
    ) -> Result<Payment, ChargeError> {
        self.provider.charge(order_id, total, method).await
    }

    async fn close(&self, order_id: OrderId) -> Result<Option<Payment>, NoAnswer> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.silent.load(Ordering::Relaxed) {
            return Err(NoAnswer("away".into()));
        }
        self.provider.close(order_id).await
    }
}

/// Orders that ended so long ago, whose units are back and whose money nobody has asked for.
async fn ended(sale: &Sale, count: u32, ago: Duration) -> Vec<OrderId> {
    let (price, now) = (sale.spike.settings.price, sale.stock.now());
    let mut orders = Vec::new();
    for unit in 1..=count {
        let placed = OrderPlaced {
            order_id: OrderId::mint(now, rand::random()),
            spike_id: sale.spike.id,
            user_id: user(),
            units: [unit].into_iter().collect(),
        };
        orders.push(Order::placed(&placed, price, now - ago, Duration::ZERO));
    }
    for answer in sale.store.place(&orders).await {
        assert_eq!(answer.unwrap(), store::Placement::Written);
    }
    let ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
    for id in &ids {
        let ended = sale.store.end(*id, Transition::Cancel, now - ago).await;
        assert!(matches!(ended.unwrap(), store::Transitioned::Done(_)));
    }
    ids
}

/// More orders wait for a provider that is away than one run looks at: the next run reaches the others.
#[tokio::test]
async fn a_provider_that_silent_does_not_stop_orders_from_expiring() {
    const WAITING: u32 = 1_100;
    let sale = Sale::of(WAITING + 10).await;
    let provider = Arc::new(Away {
        provider: sale.payments.clone(),
        silent: AtomicBool::new(true),
        asked: AtomicU32::new(0),
    });
    let mut app = settled(&sale).await.0;
    app.payments = provider.clone();
    let waiting = ended(&sale, WAITING, Duration::from_mins(5)).await;
    let placed = sale.reserve(user(), 1).await;
    let mut late = Order::placed(
        &placed,
        sale.spike.settings.price,
        sale.stock.now(),
        Duration::ZERO,
    );
    late.pay_by = late.placed_at - Duration::from_secs(1);
    assert!(sale.store.place(std::slice::from_ref(&late)).await[0].is_ok());
    sale.stock.ack(&placed).await.unwrap();

    let first = run(&app).await.unwrap();
    let second = run(&app).await.unwrap();
    assert_eq!((first.expired + second.expired, first.released), (1, 0));
    let asked = provider.asked.load(Ordering::Relaxed);
    // Those that were asked at once when it had not answered often enough are the rest.
    assert!(asked < 100, "asked {asked} times");
    let order = sale.order(late.id).await;
    assert_eq!((order.state, order.released), (OrderState::Expired, false));
    assert_eq!(
        sale.stock.hold(sale.spike.id, late.user_id).await.unwrap(),
        None
    );

    // Back again, what waits is settled when its time has come.
    provider.silent.store(false, Ordering::Relaxed);
    for id in &waiting[..3] {
        sale.store.postpone(*id, sale.stock.now()).await.unwrap();
    }
    assert_eq!(run(&app).await.unwrap().released, 3);
    assert!(sale.order(waiting[0]).await.released);
}
