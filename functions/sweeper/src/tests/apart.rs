//! What fails stops nothing else: spikes, steps, orders, the broker, and other sweepers.

use events::testing::{Answer, Recorder};
use sale::Loadable;

use super::*;

#[tokio::test]
async fn one_spike_that_fails_does_not_stop_the_others() {
    let sale = Sale::of(3).await;
    let (app, sink) = settled(&sale).await;
    let now = sale.stock.now();
    let other = Spike::new(
        SpikeId::mint(now, [7; 10]),
        sale.spike.settings.clone(),
        now,
    );
    assert!(sale.store.add_spike(&other).await.unwrap());
    // What Redis has of the other one is no sale.
    let mut redis = sale.redis.connection().await;
    let mut set = redis::cmd("SET");
    set.arg(format!("spike:{{{}}}:sale", other.id)).arg("?");
    set.exec_async(&mut redis).await.unwrap();
    let placed = sale.reserve(user(), 1).await;
    make_due(&sale, &placed).await;
    ask_for_an_audit(&sale).await;
    let summary = run(&app).await.unwrap();
    assert_eq!((summary.spikes, summary.failed, summary.audited), (2, 1, 1));
    assert_eq!(*sink.sent.lock().unwrap(), [placed]);
}

#[tokio::test]
async fn a_redis_without_memory_takes_no_configuration_and_is_published_from() {
    let sale = Sale::of(3).await;
    let (app, sink) = settled(&sale).await;
    let placed = sale.reserve(user(), 1).await;
    make_due(&sale, &placed).await;
    let was = sale.stored().await;
    let mut paused = was.clone();
    (paused.version, paused.paused) = (2, true);
    assert!(sale.store.replace_spike(&was, &paused).await.unwrap());
    limit_memory(&sale, "1").await;
    let summary = run(&app).await.unwrap();
    assert_eq!(
        (summary.published, summary.configured, summary.failed),
        (1, 0, 1)
    );
    assert_eq!(*sink.sent.lock().unwrap(), [placed]);
    limit_memory(&sale, "0").await;
    let summary = run(&app).await.unwrap();
    assert_eq!((summary.configured, summary.failed), (1, 0));
}

async fn limit_memory(sale: &Sale, bytes: &str) {
    let mut redis = sale.redis.connection().await;
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg(bytes);
    set.exec_async(&mut redis).await.unwrap();
}

#[tokio::test]
async fn while_somebody_else_loads_a_live_sale_redis_is_not_complete() {
    let sale = Sale::of(3).await;
    let (app, _) = settled(&sale).await;
    sale.redis.flush().await;
    let lock = sale
        .stock
        .lock_loading(sale.spike.id)
        .await
        .unwrap()
        .unwrap();
    let summary = run(&app).await.unwrap();
    assert_eq!((summary.absent, summary.failed, summary.loaded), (1, 0, 0));
    assert!(!sale.stock.is_complete().await.unwrap());
    sale.stock.unlock_loading(lock).await.unwrap();
    let summary = run(&app).await.unwrap();
    assert_eq!((summary.absent, summary.loaded), (0, 1));
    assert!(sale.stock.is_complete().await.unwrap());
}

#[tokio::test]
async fn an_order_without_its_claims_is_an_incident_of_every_run_and_stops_no_other() {
    let sale = Sale::with(|settings| settings.pay_within_secs = 1).await;
    let (app, _) = settled(&sale).await;
    let price = sale.spike.settings.price;
    let order = |placed: &OrderPlaced| {
        let now = sale.stock.now();
        let mut order = domain::Order::placed(placed, price, now, Duration::ZERO);
        order.pay_by = now - Duration::from_millis(1);
        order
    };
    let bare = order(&sale.lost(&[9]));
    sale.store.reject(&bare).await.unwrap(); // Writes it as it is, without claims.
    let placed = sale.reserve(user(), 1).await;
    let sound = order(&placed);
    assert!(sale.store.place(std::slice::from_ref(&sound)).await[0].is_ok());
    sale.stock.ack(&placed).await.unwrap();
    let first = run(&app).await.unwrap();
    assert_eq!((first.expired, first.incidents, first.failed), (1, 1, 0));
    let second = run(&app).await.unwrap();
    assert_eq!((second.expired, second.incidents), (0, 1));
    assert_eq!(sale.order(bare.id).await, bare);
}

#[tokio::test]
async fn fault_04_a_broker_that_is_away_is_asked_once_and_what_it_missed_comes_soon() {
    let sale = Sale::with(|settings| settings.stock = 250).await;
    let broker = Arc::new(Recorder::default());
    let app = AppState::new(
        Arc::clone(&sale.store),
        sale.stock.clone(),
        Arc::clone(&broker) as Arc<dyn EventSink>,
        sale.payments.clone(),
    );
    let mut redis = sale.redis.connection().await;
    for _ in 0..250 {
        let placed = sale.reserve(user(), 1).await;
        // Twenty minutes old: by its age it would come again in ten minutes.
        let since = sale.stock.now() - Duration::from_mins(20);
        let mut set = redis::cmd("HSET");
        set.arg(key(&sale, "held"))
            .arg(placed.units.highest())
            .arg(format!(
                "{}|{}|{}",
                placed.order_id,
                placed.user_id,
                since.as_millis()
            ));
        set.exec_async(&mut redis).await.unwrap();
        make_due(&sale, &placed).await;
    }
    broker.answer(Answer::LoseAnswer); // It keeps count for us.
    assert_eq!(run(&app).await.unwrap().published, 0);
    assert_eq!(broker.take().len(), 100, "one round");
    let mut count = redis::cmd("ZCOUNT");
    let soon = sale.stock.now() + Duration::from_secs(6);
    count
        .arg(key(&sale, "pending"))
        .arg("-inf")
        .arg(soon.as_millis());
    let soon: u32 = count.query_async(&mut redis).await.unwrap();
    assert_eq!(soon, 250, "nothing is far in the future");
    broker.answer(Answer::Ack);
    assert_eq!(run(&app).await.unwrap().published, 150);
}

#[tokio::test]
async fn fault_17_two_sweepers_at_once_release_and_publish_once() {
    let sale = Sale::of(6).await;
    let (one, sink) = settled(&sale).await;
    let two = app(&sale, &sink);
    let ended = sale.reserve(user(), 2).await;
    sale.place(&ended).await;
    let now = sale.stock.now();
    sale.store
        .end(ended.order_id, Transition::Cancel, now)
        .await
        .unwrap();
    let waiting = sale.reserve(user(), 1).await;
    make_due(&sale, &waiting).await;
    ask_for_an_audit(&sale).await;
    let (first, second) = tokio::join!(run(&one), run(&two));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.failed + second.failed, 0);
    assert_eq!(first.published + second.published, 1);
    assert_eq!(*sink.sent.lock().unwrap(), std::slice::from_ref(&waiting));
    // Whoever buys one of the released units keeps it, whichever sweeper comes late.
    let again = sale.reserve(user(), 5).await;
    let (first, second) = tokio::join!(run(&one), run(&two));
    assert_eq!(first.unwrap().failed + second.unwrap().failed, 0);
    for placed in [&waiting, &again] {
        sale.place(placed).await;
        assert!(sale.stock.ack(placed).await.unwrap());
    }
    assert_eq!(sale.check_at_rest().await.len(), 0);
    assert!(sale.order(ended.order_id).await.released);
}

#[tokio::test]
async fn a_shelved_sale_that_came_back_for_a_late_event_is_shelved_again() {
    let sale = long_over().await;
    let (app, _) = settled(&sale).await;
    assert!(sale.stored().await.shelved);
    let store = sale.store.as_ref();
    let loaded = sale::load(store, &sale.stock, sale.spike.id, Loadable::Ended);
    loaded.await.unwrap();
    assert_eq!(run(&app).await.unwrap().shelved, 1);
    assert_eq!(sale.stock.sale(sale.spike.id).await.unwrap(), None);
}
