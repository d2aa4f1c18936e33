//! What operators see of what a sweep has repaired: driven by real events, received by a collector.

use payments::Method;
use runtime::testing::collector::Collector;
use stock::UnitState;

use super::*;

/// Long enough ago for nobody to be at it any more.
fn long_ago(sale: &Sale) -> domain::Timestamp {
    sale.stock.now() - Duration::from_mins(1)
}

/// Every kind of difference, each of one spike.
async fn everything_goes_wrong(sale: &Sale) {
    let (app, _) = settled(sale).await;
    // Redis loses the sale.
    sale.redis.flush().await;
    run(&app).await.unwrap();
    // An admin's raise and pause do not reach Redis.
    let was = sale.stored().await;
    let mut raised = was.clone();
    (raised.version, raised.top, raised.settings.stock) = (2, 12, 12);
    raised.paused = true;
    assert!(sale.store.replace_spike(&was, &raised).await.unwrap());
    run(&app).await.unwrap();
    // Somebody dies after an order has ended, and with money that is on no record.
    let now = sale.stock.now();
    let ended = sale.place(&sale.lost(&[1])).await;
    let end = sale.store.end(ended.id, Transition::Cancel, long_ago(sale));
    end.await.unwrap();
    let charged = sale
        .payments
        .charge(ended.id, ended.total, Method::TestApprove);
    charged.await.unwrap();
    let placed = sale.lost(&[2]);
    let mut paid = domain::Order::placed(&placed, ended.total, now, Duration::ZERO);
    paid.pay_by = long_ago(sale);
    assert!(sale.store.place(std::slice::from_ref(&paid)).await[0].is_ok());
    let charged = sale
        .payments
        .charge(paid.id, paid.total, Method::TestApprove);
    charged.await.unwrap();
    run(&app).await.unwrap();
    // Nothing is left: what is ordinary is not counted.
    ask_for_an_audit(sale).await;
    run(&app).await.unwrap();
    run(&app).await.unwrap();
    let states = sale.stock.units(sale.spike.id, 1, 2).await.unwrap();
    let states = states.unwrap();
    assert!(matches!(states[1], UnitState::Held { .. }), "{states:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_repair_is_counted_once_under_its_kind() {
    let collector = Collector::start();
    let sale = Sale::of(10).await;
    collector.watching(everything_goes_wrong(&sale)).await;
    let spike = sale.spike.id.to_string();
    for (kind, count) in [
        ("not-loaded", 1.0),
        ("not-configured", 1.0),
        ("not-raised", 1.0),
        ("not-released", 1.0),
        ("not-paid", 1.0),
        ("holder-unknown", 1.0),
    ] {
        let attributes = [("difference", kind), ("spike.id", spike.as_str())];
        let sum = collector.sum("spike.differences.repaired", &attributes);
        assert!((sum - count).abs() < 0.1, "{kind}: {sum}");
    }
    let all = collector.sum("spike.differences.repaired", &[("spike.id", &spike)]);
    assert!((all - 6.0).abs() < 0.1, "{all}: {:#?}", collector.series());
    let owed = collector.sum("spike.refunds.owed", &[("spike.id", &spike)]);
    assert!((owed - 1.0).abs() < 0.1, "{owed}");
    let incidents = collector.sum("spike.incidents", &[("spike.id", &spike)]);
    assert!(incidents < 0.1, "{incidents}");
}
