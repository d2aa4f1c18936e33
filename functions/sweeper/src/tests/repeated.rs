//! A run that publishes again and again while a sale is open.

use std::future::pending;

use tokio::sync::oneshot;

use super::*;

/// No test waits for so long: each stops the run, or has no sale that it would repeat for.
const AN_HOUR: Duration = Duration::from_hours(1);

async fn until(mut is: impl AsyncFnMut() -> bool) {
    for _ in 0..2000 {
        if is().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came about");
}

#[tokio::test]
async fn what_becomes_due_during_a_run_is_published_by_it() {
    let sale = Sale::of(3).await;
    let (app, sink) = settled(&sale).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let repeat = Repeat::new(Duration::from_millis(20), AN_HOUR, async {
        let _ = stopped.await;
    });
    let running = app.repeating(repeat);
    let running = tokio::spawn(async move { run(&running).await.unwrap() });
    for expected in 1..=2 {
        let placed = sale.reserve(user(), 1).await;
        make_due(&sale, &placed).await;
        until(async || sink.sent.lock().unwrap().len() == expected).await;
    }
    assert!(!running.is_finished(), "the sale is open");
    stop.send(()).unwrap();
    assert_eq!(running.await.unwrap().published, 2);
}

#[tokio::test]
async fn the_other_steps_do_not_wait_for_the_repetition() {
    let sale = Sale::of(3).await;
    let app = app(&sale, &Arc::default());
    let repeat = Repeat::new(Duration::from_millis(20), AN_HOUR, pending());
    let running = tokio::spawn(async move { run(&app.repeating(repeat)).await });
    until(async || sale.stock.is_complete().await.unwrap()).await;
    assert!(!running.is_finished(), "the sale is open");
    running.abort();
}

#[tokio::test]
async fn a_run_without_an_open_sale_is_over_at_once() {
    for is_over in [true, false] {
        let sale = Sale::with(|settings| {
            if is_over {
                settings.ends_at = settings.starts_at;
                settings.starts_at = settings.ends_at - AN_HOUR;
            } else {
                settings.starts_at = settings.starts_at + 2 * AN_HOUR;
                settings.ends_at = settings.starts_at + AN_HOUR;
            }
        })
        .await;
        let repeat = Repeat::new(Duration::from_millis(20), AN_HOUR, pending());
        let app = app(&sale, &Arc::default()).repeating(repeat);
        assert_eq!(run(&app).await.unwrap().spikes, 1);
    }
}
