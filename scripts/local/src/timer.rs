//! The sweeper's timer.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use runtime::App;
use tokio::{sync::watch, time::MissedTickBehavior};
use tower::ServiceExt;

/// The longest answer of a sweep that is put into the log.
const LOGGED_BYTES_MAX: usize = 4096;

/// Sweeps at once and then every `period`, one run after the other, until told to stop; a run under way is finished.
pub async fn run(app: App, period: Duration, mut stop: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = tokio::select! {
            _ = ticks.tick() => true,
            // An error says that whoever would tell us is gone.
            _ = stop.wait_for(|stop| *stop) => false,
        };
        if !due {
            return;
        }
        sweep(app.clone()).await;
    }
}

async fn sweep(app: App) {
    let request = Request::post("/timers/sweep").body(Body::empty());
    let Ok(request) = request else { return };
    let answer = match app.oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    let status = answer.status();
    if !status.is_success() {
        let body = http_body_util::Limited::new(answer.into_body(), LOGGED_BYTES_MAX);
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
        tracing::warn!(
            http.response.status_code = status.as_u16(),
            body,
            "a sweep failed"
        );
    }
}
