use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use domain::{OrderPlaced, OrderState, RejectReason, Units, order::Transition};
use http_body_util::BodyExt;
use sale::testing::{Sale, user};
use stock::Release;
use tower::ServiceExt;

use super::*;

mod counted;

fn app(sale: &Sale) -> runtime::App {
    let state = AppState::new(Arc::clone(&sale.store), sale.stock.clone());
    runtime::app(router(state))
}

/// Delivers the event once; the status.
async fn deliver(app: &runtime::App, event: &OrderPlaced) -> StatusCode {
    deliver_bytes(app, events::envelope::write(event)).await.0
}

async fn deliver_bytes(app: &runtime::App, body: Vec<u8>) -> (StatusCode, serde_json::Value) {
    let request = Request::post("/events/order-placed")
        .header(header::CONTENT_TYPE, "application/cloudevents+json")
        .body(Body::from(body))
        .unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    if status != StatusCode::NO_CONTENT {
        let kind = response.headers().get(header::CONTENT_TYPE).unwrap();
        assert_eq!(kind, "application/problem+json");
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_reservation_becomes_an_order_and_leaves_pending() {
    let sale = Sale::of(5).await;
    let placed = sale.reserve(user(), 2).await;
    assert_eq!(deliver(&app(&sale), &placed).await, StatusCode::NO_CONTENT);
    let order = sale.order(placed.order_id).await;
    assert_eq!(
        (order.state, &order.units, order.quantity),
        (OrderState::Placed, &placed.units, 2)
    );
    assert_eq!(order.total.amount_minor, 200);
    assert_eq!(order.pay_by, order.placed_at + sale.spike.pay_within());
    assert_eq!(sale.check_at_rest().await.len(), 3);
}

#[tokio::test]
async fn fault_05_ten_deliveries_make_one_order_and_a_late_one_revives_nothing() {
    let sale = Sale::of(5).await;
    let app = app(&sale);
    let placed = sale.reserve(user(), 1).await;
    let deliveries = (0..10).map(|_| deliver(&app, &placed));
    for status in futures::future::join_all(deliveries).await {
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    assert_eq!(sale.check_at_rest().await.len(), 4);
    let now = sale.stock.now();
    let (store, payments) = (sale.store.as_ref(), &*sale.payments);
    let (id, cancel) = (placed.order_id, Transition::Cancel);
    sale::end_order(store, &sale.stock, payments, id, cancel, now)
        .await
        .unwrap();
    assert_eq!(deliver(&app, &placed).await, StatusCode::NO_CONTENT);
    assert_eq!(sale.order(id).await.state, OrderState::Cancelled);
    assert_eq!(sale.check_at_rest().await.len(), 5);
}

#[tokio::test]
async fn fault_07_a_poison_event_fails_alone() {
    let sale = Sale::of(5).await;
    let app = app(&sale);
    let good = sale.reserve(user(), 1).await;
    let poison = [
        b"{".to_vec(),
        b"\xff\xfe".to_vec(),
        b"{}".to_vec(),
        Vec::new(),
    ];
    let poisoned = poison.into_iter().map(|body| deliver_bytes(&app, body));
    let (poisoned, written) =
        tokio::join!(futures::future::join_all(poisoned), deliver(&app, &good));
    assert_eq!(written, StatusCode::NO_CONTENT);
    for (status, body) in poisoned {
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::BAD_REQUEST, &"bad-event".into())
        );
    }
    sale.check_at_rest().await;
}

#[tokio::test]
async fn an_event_of_an_unknown_spike_can_never_be_written() {
    let sale = Sale::of(5).await;
    let mut lost = sale.lost(&[1]);
    lost.spike_id = domain::SpikeId::mint(sale.stock.now(), rand::random());
    assert_eq!(deliver(&app(&sale), &lost).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_oversized_event_is_refused() {
    let sale = Sale::of(1).await;
    let (status, _) = deliver_bytes(&app(&sale), vec![b' '; 300_000]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn fault_09_a_redelivery_after_the_commit_acknowledges_without_a_second_unit() {
    let sale = Sale::of(5).await;
    let placed = sale.reserve(user(), 2).await;
    sale.place(&placed).await;
    assert_eq!(deliver(&app(&sale), &placed).await, StatusCode::NO_CONTENT);
    assert_eq!(sale.check_at_rest().await.len(), 3);
}

#[tokio::test]
async fn fault_10_a_unit_handed_out_twice_is_replaced_by_another() {
    let sale = Sale::of(5).await;
    let app = app(&sale);
    let lost = sale.lost(&[1, 2]);
    sale.place(&lost).await;
    let second = sale.reserve(user(), 3).await;
    assert_eq!(second.units, [1, 2, 3].into_iter().collect::<Units>());
    assert_eq!(deliver(&app, &second).await, StatusCode::NO_CONTENT);
    assert_eq!(
        sale.order(second.order_id).await.units,
        [3, 4, 5].into_iter().collect::<Units>()
    );
    assert!(
        sale.stock
            .sale(sale.spike.id)
            .await
            .unwrap()
            .unwrap()
            .audit_wanted
    );
    assert_eq!(sale.check_at_rest().await, Units::none());
    assert_eq!(deliver(&app, &second).await, StatusCode::NO_CONTENT);
    assert_eq!(sale.check_at_rest().await, Units::none());
}

#[tokio::test]
async fn fault_10_an_order_is_rejected_only_when_no_unit_is_left() {
    let sale = Sale::of(3).await;
    let lost = sale.lost(&[2]);
    sale.place(&lost).await;
    let all = sale.reserve(user(), 3).await;
    assert_eq!(deliver(&app(&sale), &all).await, StatusCode::NO_CONTENT);
    let order = sale.order(all.order_id).await;
    assert_eq!(
        (order.state, order.reason),
        (OrderState::Rejected, Some(RejectReason::SoldOut))
    );
    assert!(order.released);
    assert_eq!(sale.check_at_rest().await, [1, 3].into_iter().collect());
    assert_eq!(
        sale.stock.hold(sale.spike.id, all.user_id).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_buyer_with_a_live_order_gets_no_second_one() {
    let sale = Sale::of(5).await;
    let app = app(&sale);
    let mut lost = sale.lost(&[5]);
    sale.place(&lost).await;
    let second = sale.reserve(lost.user_id, 1).await;
    assert_eq!(deliver(&app, &second).await, StatusCode::NO_CONTENT);
    let order = sale.order(second.order_id).await;
    assert_eq!(
        (order.state, order.reason),
        (OrderState::Rejected, Some(RejectReason::Limit))
    );
    let hold = sale
        .stock
        .hold(sale.spike.id, lost.user_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((hold.order_id, hold.pending), (lost.order_id, false));
    assert_eq!(sale.check_at_rest().await.len(), 4);
    // The first order's event comes late: it is there already.
    lost.units = [5].into_iter().collect();
    assert_eq!(deliver(&app, &lost).await, StatusCode::NO_CONTENT);
    sale.check_at_rest().await;
}

#[tokio::test]
async fn units_that_the_order_does_not_hold_go_back() {
    let sale = Sale::of(5).await;
    let placed = sale.reserve(user(), 3).await;
    let mut first = placed.clone();
    first.units = [1, 2].into_iter().collect();
    sale.place(&first).await;
    assert_eq!(deliver(&app(&sale), &placed).await, StatusCode::NO_CONTENT);
    assert_eq!(sale.check_at_rest().await, (3..=5).collect());
}

#[tokio::test]
async fn a_unit_above_the_top_is_a_conflict() {
    let sale = Sale::of(3).await;
    let above = sale.lost(&[2, 4]);
    assert_eq!(deliver(&app(&sale), &above).await, StatusCode::NO_CONTENT);
    let order = sale.order(above.order_id).await;
    assert_eq!(order.state, OrderState::Placed);
    // Which of the free units stands in for the fourth is Redis' choice.
    assert!(
        order.units == [1, 2].into_iter().collect() || order.units == [2, 3].into_iter().collect(),
        "{:?}",
        order.units
    );
}

#[tokio::test]
async fn a_retired_unit_is_a_conflict() {
    let sale = Sale::with(|settings| settings.stock = 3).await;
    let mut lower = sale.stored().await;
    lower.version += 1;
    lower.settings.stock = 2;
    assert!(
        sale.store
            .replace_spike(&sale.stored().await, &lower)
            .await
            .unwrap()
    );
    let placed = sale.reserve(user(), 1).await;
    let unit = placed.units.highest();
    sale.store.retire_unit(sale.spike.id, unit).await.unwrap();
    assert_eq!(deliver(&app(&sale), &placed).await, StatusCode::NO_CONTENT);
    let order = sale.order(placed.order_id).await;
    assert!(order.state == OrderState::Placed && !order.units.contains(unit));
    assert_eq!(sale.check_at_rest().await.len(), 1);
}

#[tokio::test]
async fn fault_11_a_conflict_in_a_wiped_redis_loads_the_sale() {
    let sale = Sale::of(3).await;
    let placed = sale.reserve(user(), 1).await;
    sale.place(&sale.lost(&[1])).await;
    sale.redis.flush().await;
    assert_eq!(deliver(&app(&sale), &placed).await, StatusCode::NO_CONTENT);
    assert_eq!(sale.order(placed.order_id).await.state, OrderState::Placed);
    assert_eq!(sale.check_at_rest().await.len(), 1);
}

#[tokio::test]
async fn the_event_comes_again_while_redis_is_away_in_a_conflict_or_another_loads() {
    let mut sale = Sale::of(3).await;
    let app = app(&sale);
    let placed = sale.reserve(user(), 1).await;
    sale.place(&sale.lost(&[1])).await;
    sale.redis.flush().await;
    let lock = sale.stock.lock_loading(sale.spike.id).await;
    assert!(lock.unwrap().is_some());
    let (status, body) = deliver_bytes(&app, events::envelope::write(&placed)).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"loading".into())
    );
    sale.redis.stop();
    let (status, body) = deliver_bytes(&app, events::envelope::write(&placed)).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"unavailable".into())
    );
}

#[tokio::test]
async fn a_commit_stands_though_redis_is_away() {
    let mut sale = Sale::of(3).await;
    let app = app(&sale);
    let placed = sale.reserve(user(), 1).await;
    sale.redis.stop();
    assert_eq!(deliver(&app, &placed).await, StatusCode::NO_CONTENT);
    assert_eq!(sale.order(placed.order_id).await.state, OrderState::Placed);
}

#[tokio::test]
async fn hundreds_of_events_at_once_are_all_written() {
    let sale = Sale::of(300).await;
    let app = app(&sale);
    let mut placed = Vec::new();
    for _ in 0..300 {
        placed.push(sale.reserve(user(), 1).await);
    }
    let statuses = futures::future::join_all(placed.iter().map(|event| deliver(&app, event))).await;
    assert!(
        statuses
            .iter()
            .all(|status| *status == StatusCode::NO_CONTENT),
        "{statuses:?}"
    );
    assert_eq!(sale.check_at_rest().await, Units::none());
}

/// Whoever goes away while it waits, gathers or writes leaves the others with an answer, and its event comes again.
#[tokio::test]
async fn callers_that_go_away_at_any_moment_leave_the_others_with_an_answer() {
    let sale = Sale::of(60).await;
    let app = app(&sale);
    let mut placed = Vec::new();
    for _ in 0..60 {
        placed.push(sale.reserve(user(), 1).await);
    }
    for round in 0..3 {
        let deliveries = placed.iter().enumerate().map(async |(index, event)| {
            let delivery = deliver(&app, event);
            if index % 3 == round {
                return Some(delivery.await);
            }
            let wait = Duration::from_micros(300 * index as u64);
            tokio::time::timeout(wait, delivery).await.ok()
        });
        let all = futures::future::join_all(deliveries);
        let statuses = tokio::time::timeout(Duration::from_secs(30), all)
            .await
            .unwrap();
        for status in statuses.into_iter().flatten() {
            let may = [StatusCode::NO_CONTENT, StatusCode::SERVICE_UNAVAILABLE];
            assert!(may.contains(&status), "{status}");
        }
    }
    for event in &placed {
        assert_eq!(deliver(&app, event).await, StatusCode::NO_CONTENT);
    }
    assert_eq!(sale.check_at_rest().await, Units::none());
}

/// As above, on several threads, each delivery cut off as a connection would be.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_that_are_cut_at_any_moment_leave_the_others_with_an_answer() {
    let sale = Sale::of(80).await;
    let app = app(&sale);
    let mut placed = Vec::new();
    for _ in 0..80 {
        placed.push(sale.reserve(user(), 1).await);
    }
    for round in 0..4 {
        let deliveries = placed.iter().map(|event| {
            let (app, event) = (app.clone(), event.clone());
            tokio::spawn(async move { deliver(&app, &event).await })
        });
        let deliveries: Vec<_> = deliveries.collect();
        for (index, delivery) in deliveries.iter().enumerate() {
            if index % 4 != round {
                tokio::time::sleep(Duration::from_micros(100)).await;
                delivery.abort();
            }
        }
        let all = futures::future::join_all(deliveries);
        let ends = tokio::time::timeout(Duration::from_secs(30), all).await;
        for status in ends.unwrap().into_iter().flatten() {
            let may = [StatusCode::NO_CONTENT, StatusCode::SERVICE_UNAVAILABLE];
            assert!(may.contains(&status), "{status}");
        }
    }
    for event in &placed {
        assert_eq!(deliver(&app, event).await, StatusCode::NO_CONTENT);
    }
    assert_eq!(sale.check_at_rest().await, Units::none());
}

#[tokio::test]
async fn orders_of_several_spikes_are_written_and_acknowledged_together() {
    let sale = Sale::of(20).await;
    let app = app(&sale);
    let mut other = sale.stored().await;
    other.id = domain::SpikeId::mint(sale.stock.now(), rand::random());
    assert!(sale.store.add_spike(&other).await.unwrap());
    let loaded = sale::load(
        sale.store.as_ref(),
        &sale.stock,
        other.id,
        sale::Loadable::Ended,
    );
    assert_eq!(loaded.await.unwrap(), sale::LoadOutcome::Loaded);
    let mut placed = Vec::new();
    for _ in 0..20 {
        let first = sale.reserve(user(), 1).await;
        let order_id = domain::OrderId::mint(sale.stock.now(), rand::random());
        let request = stock::Request {
            spike_id: other.id,
            user_id: first.user_id,
            order_id,
            quantity: 1,
            verdict: None,
        };
        let stock::Reserved::Won(units) = sale.stock.reserve(&request).await.unwrap() else {
            panic!("no units");
        };
        let second = OrderPlaced {
            order_id,
            spike_id: other.id,
            units,
            ..first.clone()
        };
        placed.extend([first, second]);
    }
    let deliveries = placed.iter().map(|event| deliver(&app, event));
    for status in futures::future::join_all(deliveries).await {
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    for spike_id in [sale.spike.id, other.id] {
        let shown = sale.stock.sale(spike_id).await.unwrap().unwrap();
        assert_eq!((shown.pending, shown.left, shown.buyers), (0, 0, 20));
    }
}

#[tokio::test]
async fn a_reassignment_whose_answer_was_lost_is_settled_by_the_next_delivery() {
    let sale = Sale::of(4).await;
    let app = app(&sale);
    let placed = sale.reserve(user(), 1).await;
    let lost = sale.lost(&[1]);
    sale.place(&lost).await;
    // An earlier delivery reassigned and died; meanwhile the other order ended, so unit 1 is free again.
    sale.stock
        .reassign(&placed, &[1].into_iter().collect())
        .await
        .unwrap();
    sale.store
        .end(lost.order_id, Transition::Cancel, sale.stock.now())
        .await
        .unwrap();
    assert_eq!(deliver(&app, &placed).await, StatusCode::NO_CONTENT);
    let moved = sale
        .stock
        .hold(sale.spike.id, placed.user_id)
        .await
        .unwrap()
        .unwrap();
    let event = OrderPlaced {
        units: moved.units,
        ..placed.clone()
    };
    assert_eq!(deliver(&app, &event).await, StatusCode::NO_CONTENT);
    let give = Release {
        spike_id: lost.spike_id,
        order_id: lost.order_id,
        user_id: lost.user_id,
        units: &lost.units,
        keep: &Units::none(),
    };
    sale.stock.release(&give).await.unwrap();
    let order = sale.order(placed.order_id).await;
    assert_eq!(order.units, placed.units);
    let shown = sale.stock.sale(sale.spike.id).await.unwrap().unwrap();
    assert_eq!((shown.pending, shown.left), (0, 3));
}

#[tokio::test]
async fn the_event_comes_again_when_the_store_is_away() {
    let sale = Sale::of(1).await;
    let placed = sale.reserve(user(), 1).await;
    let nobody = store::connect(&"dynamodb+http://127.0.0.1:1".parse().unwrap())
        .await
        .unwrap();
    let state = AppState::new(nobody, sale.stock.clone());
    let (status, body) = deliver_bytes(
        &runtime::app(router(state)),
        events::envelope::write(&placed),
    )
    .await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"unavailable".into())
    );
    // What is not written stays in the outbox.
    let shown = sale.stock.sale(sale.spike.id).await.unwrap().unwrap();
    assert_eq!(shown.pending, 1);
}
