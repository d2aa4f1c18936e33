//! Load: the same client for every server that is compared.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::bail;
use http::StatusCode;
use race::client::{Client, Request};
use tokio::{task::JoinSet, time::Instant};

/// Connections that are always busy.
const CONNECTIONS: usize = 64;

/// Sends every request once, as fast as the answers come, and answers with requests per second. All answers must have
/// the `expected` status.
pub(crate) async fn once(
    base_url: &str,
    requests: &Arc<Vec<Request>>,
    expected: StatusCode,
) -> anyhow::Result<f64> {
    run(base_url, requests, expected, None).await
}

/// Sends the requests in turn, over and over, for some time.
pub(crate) async fn repeatedly(
    base_url: &str,
    requests: &Arc<Vec<Request>>,
    expected: StatusCode,
    time: Duration,
) -> anyhow::Result<f64> {
    run(base_url, requests, expected, Some(time)).await
}

async fn run(
    base_url: &str,
    requests: &Arc<Vec<Request>>,
    expected: StatusCode,
    time: Option<Duration>,
) -> anyhow::Result<f64> {
    let client = Arc::new(Client::new(base_url, CONNECTIONS)?);
    let next = Arc::new(AtomicUsize::new(0));
    let begun_at = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (client, next, requests) = (client.clone(), next.clone(), requests.clone());
        tasks.spawn(async move {
            let mut answers: BTreeMap<String, usize> = BTreeMap::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let over = match time {
                    Some(time) => begun_at.elapsed() > time,
                    None => index >= requests.len(),
                };
                if over {
                    return anyhow::Ok(answers);
                }
                let answer = client.send(&requests[index % requests.len()]).await?;
                let outcome = if answer.status == expected {
                    String::new()
                } else {
                    answer.outcome()
                };
                *answers.entry(outcome).or_default() += 1;
            }
        });
    }
    let mut good = 0;
    for answers in tasks.join_all().await {
        for (outcome, count) in answers? {
            if !outcome.is_empty() {
                bail!("{base_url} answered {outcome} instead of {expected}, {count} times");
            }
            good += count;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer requests than 2^52")]
    Ok(good as f64 / begun_at.elapsed().as_secs_f64())
}
