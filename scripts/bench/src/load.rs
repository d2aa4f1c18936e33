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
pub(crate) const CONNECTIONS: usize = 64;

/// Sends every request once, as fast as the answers come, and answers with requests per second. All answers must have
/// the `expected` status.
pub(crate) async fn once(
    base_url: &str,
    requests: &Arc<Vec<Request>>,
    expected: StatusCode,
) -> anyhow::Result<f64> {
    let answers = run(base_url, requests, expected, None).await?;
    match answers.others.first_key_value() {
        None => Ok(answers.rate()),
        Some((outcome, count)) => bail!("{outcome} instead of {expected}, {count} times"),
    }
}

/// Sends the requests in turn, over and over, for some time, and counts answers of the `expected` status. One in a hundred
/// may have another: a limit lets somebody pass now and then.
pub(crate) async fn repeatedly(
    base_url: &str,
    requests: &Arc<Vec<Request>>,
    expected: StatusCode,
    time: Duration,
) -> anyhow::Result<f64> {
    let answers = run(base_url, requests, expected, Some(time)).await?;
    let others: usize = answers.others.values().sum();
    if others * 100 > answers.good {
        bail!(
            "too many other answers than {expected}: {:?}",
            answers.others
        );
    }
    Ok(answers.rate())
}

struct Answers {
    good: usize,
    others: BTreeMap<String, usize>,
    time: Duration,
}

impl Answers {
    #[expect(clippy::cast_precision_loss, reason = "far fewer requests than 2^52")]
    fn rate(&self) -> f64 {
        self.good as f64 / self.time.as_secs_f64()
    }
}

async fn run(
    base_url: &str,
    requests: &Arc<Vec<Request>>,
    expected: StatusCode,
    time: Option<Duration>,
) -> anyhow::Result<Answers> {
    let client = Arc::new(Client::new(base_url, CONNECTIONS)?);
    let next = Arc::new(AtomicUsize::new(0));
    let begun_at = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (client, next, requests) = (client.clone(), next.clone(), requests.clone());
        tasks.spawn(async move {
            let (mut good, mut others) = (0, Vec::new());
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let over = match time {
                    Some(time) => begun_at.elapsed() > time,
                    None => index >= requests.len(),
                };
                if over {
                    return anyhow::Ok((good, others));
                }
                let answer = client.send(&requests[index % requests.len()]).await?;
                if answer.status == expected {
                    good += 1;
                } else {
                    others.push(answer.outcome());
                }
            }
        });
    }
    let ended = tasks.join_all().await;
    let mut answers = Answers {
        good: 0,
        others: BTreeMap::new(),
        time: begun_at.elapsed(),
    };
    for task in ended {
        let (good, others) = task?;
        answers.good += good;
        for outcome in others {
            *answers.others.entry(outcome).or_default() += 1;
        }
    }
    Ok(answers)
}
