use std::{sync::Mutex as StdMutex, time::Duration};

use async_trait::async_trait;
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use domain::{OrderPlaced, OrderState, order::Transition};
use events::SendError;
use http_body_util::BodyExt;
use sale::testing::{Sale, user};
use store::Mark;
use tower::ServiceExt;

use super::*;

mod apart;
mod audits;
mod counted;
mod money;
mod repeated;

/// A broker that keeps what it is sent, or refuses everything.
#[derive(Default)]
struct Sink {
    refuses: bool,
    sent: StdMutex<Vec<OrderPlaced>>,
}

#[async_trait]
impl EventSink for Sink {
    async fn send(&self, events: &[OrderPlaced]) -> Vec<Result<(), SendError>> {
        if self.refuses {
            return events
                .iter()
                .map(|_| Err(SendError::Refused(503)))
                .collect();
        }
        self.sent.lock().unwrap().extend_from_slice(events);
        events.iter().map(|_| Ok(())).collect()
    }
}

fn app(sale: &Sale, sink: &Arc<Sink>) -> AppState {
    AppState::new(
        Arc::clone(&sale.store),
        sale.stock.clone(),
        Arc::clone(sink) as Arc<dyn EventSink>,
        sale.payments.clone(),
    )
}

/// One run past any audit that the sale's loading asked for.
async fn settled(sale: &Sale) -> (AppState, Arc<Sink>) {
    let sink = Arc::new(Sink::default());
    let app = app(sale, &sink);
    run(&app).await.unwrap();
    (app, sink)
}

#[tokio::test]
async fn the_timer_is_answered_with_what_was_done() {
    let sale = Sale::of(2).await;
    let router = runtime::app(router(app(&sale, &Arc::default())));
    let request = Request::post("/timers/sweep").body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let summary: Summary = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        summary,
        Summary {
            spikes: 1,
            audited: 1,
            ..Summary::default()
        }
    );
    assert!(sale.stock.is_complete().await.unwrap());
}

#[tokio::test]
async fn a_run_without_a_store_is_a_503() {
    let sale = Sale::of(2).await;
    let nobody = store::connect(&"dynamodb+http://127.0.0.1:1".parse().unwrap())
        .await
        .unwrap();
    let state = AppState::new(
        nobody,
        sale.stock.clone(),
        Arc::<Sink>::default(),
        sale.payments.clone(),
    );
    let request = Request::post("/timers/sweep").body(Body::empty()).unwrap();
    let response = runtime::app(router(state)).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn fault_01_a_reservation_whose_publisher_died_is_published() {
    let sale = Sale::of(3).await;
    let (app, sink) = settled(&sale).await;
    let placed = sale.reserve(user(), 2).await;
    assert_eq!(
        run(&app).await.unwrap().published,
        0,
        "the publisher has five seconds"
    );
    make_due(&sale, &placed).await;
    assert_eq!(run(&app).await.unwrap().published, 1);
    assert_eq!(*sink.sent.lock().unwrap(), [placed]);
    assert_eq!(run(&app).await.unwrap().published, 0, "it was moved on");
}

#[tokio::test]
async fn fault_04_what_the_broker_refuses_stays_pending() {
    let sale = Sale::of(3).await;
    let placed = sale.reserve(user(), 1).await;
    make_due(&sale, &placed).await;
    let sink = Arc::new(Sink {
        refuses: true,
        ..Sink::default()
    });
    assert_eq!(run(&app(&sale, &sink)).await.unwrap().published, 0);
    assert_eq!(
        sale.stock
            .sale(sale.spike.id)
            .await
            .unwrap()
            .unwrap()
            .pending,
        1
    );
}

#[tokio::test]
async fn an_order_past_its_deadline_expires_and_its_units_come_back() {
    let sale = Sale::with(|settings| settings.pay_within_secs = 1).await;
    let (app, _) = settled(&sale).await;
    let placed = sale.reserve(user(), 2).await;
    let mut order = domain::Order::placed(
        &placed,
        sale.spike.settings.price,
        sale.stock.now(),
        Duration::ZERO,
    );
    order.pay_by = order.placed_at - Duration::from_millis(1);
    assert!(sale.store.place(std::slice::from_ref(&order)).await[0].is_ok());
    sale.stock.ack(&placed).await.unwrap();
    assert_eq!(run(&app).await.unwrap().expired, 1);
    let order = sale.order(placed.order_id).await;
    assert_eq!((order.state, order.released), (OrderState::Expired, true));
    assert_eq!(sale.check_at_rest().await.len(), 10);
}

#[tokio::test]
async fn a_paid_order_does_not_expire() {
    let sale = Sale::of(3).await;
    let (app, _) = settled(&sale).await;
    let placed = sale.reserve(user(), 1).await;
    let order = sale.place(&placed).await;
    sale.stock.ack(&placed).await.unwrap();
    let payment = domain::order::Payment {
        payment_id: "p".into(),
        amount: order.total,
        paid_at: sale.stock.now(),
    };
    sale.store.pay(order.id, &payment).await.unwrap();
    assert_eq!(run(&app).await.unwrap().expired, 0);
    assert_eq!(sale.order(order.id).await.state, OrderState::Paid);
}

#[tokio::test]
async fn an_unfinished_release_is_finished_by_one_of_two_sweepers() {
    let sale = Sale::of(3).await;
    let (app, _) = settled(&sale).await;
    let placed = sale.reserve(user(), 2).await;
    sale.place(&placed).await;
    sale.store
        .end(placed.order_id, Transition::Cancel, sale.stock.now())
        .await
        .unwrap();
    let (one, two) = tokio::join!(run(&app), run(&app));
    assert!(one.unwrap().released + two.unwrap().released >= 1);
    assert!(sale.order(placed.order_id).await.released);
    assert_eq!(sale.check_at_rest().await.len(), 3);
}

#[tokio::test]
async fn fault_11_a_wiped_redis_is_loaded_again() {
    let sale = Sale::of(5).await;
    let (app, _) = settled(&sale).await;
    let placed = sale.reserve(user(), 2).await;
    sale.place(&placed).await;
    sale.redis.flush().await;
    assert!(!sale.stock.is_complete().await.unwrap());
    let summary = run(&app).await.unwrap();
    assert_eq!(
        (summary.loaded, summary.audited, summary.repaired),
        (1, 1, 0)
    );
    assert_eq!(sale.check_at_rest().await.len(), 3);
    assert!(sale.stock.is_complete().await.unwrap());
}

#[tokio::test]
async fn what_redis_forgot_is_repaired_by_the_audit() {
    let sale = Sale::of(6).await;
    let (app, _) = settled(&sale).await;
    // Redis has lost an order's reservation, and shows a reservation whose order has ended.
    sale.place(&sale.lost(&[1, 2])).await;
    let ended = sale.reserve(user(), 3).await;
    let rejected = domain::Order::rejected(
        &ended,
        domain::RejectReason::Limit,
        sale.spike.settings.price,
        sale.stock.now(),
    );
    sale.store.reject(&rejected).await.unwrap();
    sale.store.mark_released(rejected.id).await.unwrap();
    ask_for_an_audit(&sale).await;
    let summary = run(&app).await.unwrap();
    assert_eq!((summary.audited, summary.incidents), (1, 0));
    assert!(summary.repaired >= 3, "{summary:?}");
    assert_eq!(sale.check_at_rest().await, (3..=6).collect());
    assert_eq!(
        sale.stock.hold(sale.spike.id, ended.user_id).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_reservation_in_flight_is_never_taken_and_put_back_into_pending() {
    let sale = Sale::of(4).await;
    let (app, sink) = settled(&sale).await;
    let placed = sale.reserve(user(), 2).await;
    sale.stock.ack(&placed).await.unwrap();
    ask_for_an_audit(&sale).await;
    run(&app).await.unwrap();
    let hold = sale
        .stock
        .hold(sale.spike.id, placed.user_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((hold.order_id, hold.pending), (placed.order_id, true));
    run(&app).await.unwrap();
    assert_eq!(*sink.sent.lock().unwrap(), [placed]);
}

#[tokio::test]
async fn fault_20_units_of_a_raise_that_was_cut_off_are_offered() {
    let sale = Sale::of(2).await;
    let (app, _) = settled(&sale).await;
    let was = sale.stored().await;
    let mut raised = was.clone();
    (raised.version, raised.top, raised.settings.stock) = (2, 5, 5);
    assert!(sale.store.replace_spike(&was, &raised).await.unwrap());
    let summary = run(&app).await.unwrap();
    assert_eq!(summary.configured, 1);
    assert_eq!(sale.check_at_rest().await, (1..=5).collect());
}

#[tokio::test]
async fn fault_21_units_freed_later_are_retired_until_the_target_is_met() {
    let sale = Sale::of(4).await;
    let (app, _) = settled(&sale).await;
    let placed = sale.reserve(user(), 3).await;
    sale.place(&placed).await;
    sale.stock.ack(&placed).await.unwrap();
    let was = sale.stored().await;
    let mut lowered = was.clone();
    (lowered.version, lowered.settings.stock) = (2, 2);
    assert!(sale.store.replace_spike(&was, &lowered).await.unwrap());
    assert_eq!(run(&app).await.unwrap().retired, 1);
    let now = sale.stock.now();
    let (store, payments) = (sale.store.as_ref(), &*sale.payments);
    let (id, cancel) = (placed.order_id, Transition::Cancel);
    sale::end_order(store, &sale.stock, payments, id, cancel, now)
        .await
        .unwrap();
    assert_eq!(run(&app).await.unwrap().retired, 1);
    assert_eq!(run(&app).await.unwrap().retired, 0);
    assert_eq!(sale.check_at_rest().await.len(), 2);
}

#[tokio::test]
async fn a_pause_that_redis_missed_is_repeated() {
    let sale = Sale::of(3).await;
    let (app, _) = settled(&sale).await;
    let was = sale.stored().await;
    let mut paused = was.clone();
    (paused.version, paused.paused) = (2, true);
    assert!(sale.store.replace_spike(&was, &paused).await.unwrap());
    assert_eq!(run(&app).await.unwrap().configured, 1);
    assert_eq!(sale.ask(user(), 1).await.1, stock::Reserved::Paused);
}

#[tokio::test]
async fn an_ended_sale_is_closed_and_a_day_later_shelved_when_nothing_is_open() {
    let sale = long_over().await;
    let placed = sale.lost(&[1]);
    let order = sale.place(&placed).await;
    let (app, _) = settled(&sale).await;
    assert!(sale.stored().await.closed && !sale.stored().await.shelved);
    let payment = domain::order::Payment {
        payment_id: "p".into(),
        amount: order.total,
        paid_at: sale.stock.now(),
    };
    sale.store.pay(order.id, &payment).await.unwrap();
    // The first run's audit repaired a difference, so this one shelves.
    assert_eq!(run(&app).await.unwrap().shelved, 1);
    assert!(sale.stored().await.shelved);
    assert_eq!(sale.stock.sale(sale.spike.id).await.unwrap(), None);
    assert_eq!(run(&app).await.unwrap().spikes, 0);
}

#[tokio::test]
async fn an_ended_sale_that_redis_lost_is_shelved_too() {
    let sale = long_over().await;
    sale.redis.flush().await;
    let (_, _) = settled(&sale).await;
    assert!(sale.stored().await.shelved);
    let seen = sale.stored().await;
    assert!(sale.store.mark_spike(&seen, Mark::Closed).await.unwrap());
    assert_eq!(sale.stock.sale(sale.spike.id).await.unwrap(), None);
}

/// Moves the reservation's publish time into the past.
async fn make_due(sale: &Sale, placed: &OrderPlaced) {
    let mut redis = sale.redis.connection().await;
    let mut add = redis::cmd("ZADD");
    add.arg(format!("spike:{{{}}}:pending", sale.spike.id))
        .arg(1)
        .arg(placed.member());
    add.exec_async(&mut redis).await.unwrap();
}

async fn ask_for_an_audit(sale: &Sale) {
    let mut redis = sale.redis.connection().await;
    let ms = sale.stock.now().as_millis() + 60_000;
    let mut set = redis::cmd("HSET");
    set.arg(format!("spike:{{{}}}:sale", sale.spike.id))
        .arg("audit")
        .arg(ms);
    set.exec_async(&mut redis).await.unwrap();
}

/// A sale that ended two days ago.
async fn long_over() -> Sale {
    Sale::with(|settings| {
        settings.starts_at = settings.starts_at - Duration::from_hours(48);
        settings.ends_at = settings.starts_at + Duration::from_hours(1);
    })
    .await
}

fn key(sale: &Sale, kind: &str) -> String {
    format!("spike:{{{}}}:{kind}", sale.spike.id)
}

/// Lets Redis lose something.
async fn forget(sale: &Sale, command: &str, kind: &str, what: &str) {
    let mut redis = sale.redis.connection().await;
    let mut forget = redis::cmd(command);
    forget.arg(key(sale, kind)).arg(what);
    forget.exec_async(&mut redis).await.unwrap();
}

async fn pending(sale: &Sale) -> u32 {
    let shown = sale.stock.sale(sale.spike.id).await.unwrap();
    shown.unwrap().pending
}
