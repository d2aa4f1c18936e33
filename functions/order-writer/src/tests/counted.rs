//! What operators see of conflicts: driven by real events, received by a collector.

use runtime::testing::collector::Collector;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_rejections_and_units_given_back_are_counted() {
    let collector = Collector::start();
    let (conflict, returned) = (Sale::of(2).await, Sale::of(5).await);
    let events = async {
        // Redis hands out a unit that is another's, and has no other.
        sale_of_two_to_three(&conflict).await;
        // The order is there, with fewer units than the event.
        let placed = returned.reserve(user(), 3).await;
        let mut first = placed.clone();
        first.units = [1, 2].into_iter().collect();
        returned.place(&first).await;
        for _ in 0..2 {
            let status = deliver(&app(&returned), &placed).await;
            assert_eq!(status, StatusCode::NO_CONTENT);
        }
    };
    collector.watching(events).await;
    let of = |sale: &Sale| sale.spike.id.to_string();
    let (conflict, returned) = (of(&conflict), of(&returned));
    for (name, attributes) in [
        ("spike.unit.conflicts", vec![("spike.id", &*conflict)]),
        (
            "spike.orders.rejected",
            vec![("reason", "sold-out"), ("spike.id", &*conflict)],
        ),
        (
            "spike.differences.repaired",
            vec![("difference", "not-released"), ("spike.id", &*returned)],
        ),
    ] {
        let sum = collector.sum(name, &attributes);
        assert!((sum - 1.0).abs() < 0.1, "{name}: {sum}");
    }
}

/// Three buyers are promised the two units of a sale.
async fn sale_of_two_to_three(sale: &Sale) {
    let placed = sale.reserve(user(), 1).await;
    let other = sale.reserve(user(), 1).await;
    let mut third = sale.lost(&[1]);
    third.units = placed.units.clone();
    sale.place(&third).await;
    for event in [&other, &placed] {
        assert_eq!(deliver(&app(sale), event).await, StatusCode::NO_CONTENT);
    }
    let rejected = sale.order(placed.order_id).await;
    assert_eq!(rejected.reason, Some(RejectReason::SoldOut));
}
