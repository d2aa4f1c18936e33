//! Asking until there is a final answer.

use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, sleep_until};

use crate::{
    client::{Answer, Client, Request},
    funnel::{Funnel, Step},
};

/// What a server that says nothing about it is given before the next try.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);
/// What is waited after a connection that failed.
const AFTER_NO_ANSWER: Duration = Duration::from_millis(200);

/// The end of a request, tries included.
pub struct Settled {
    /// The final answer, or what became of the last try.
    pub answer: anyhow::Result<Answer>,
    /// Whether an earlier try may have had an effect that the final answer does not show: it got no answer, or a 503.
    pub doubtful: bool,
}

/// Asks until the answer is final.
pub struct Patience<'a> {
    /// Where to ask.
    pub client: &'a Client,
    /// Where each try is counted.
    pub funnel: &'a Funnel,
    /// After this moment no further try is made.
    pub until: Instant,
}

impl Patience<'_> {
    /// Sends `request`, which is due at `due`, until it is answered with something else than 425, 429 or 503.
    ///
    /// Waits as long as `Retry-After` asks and up to half as long again, so that those who were refused together do not
    /// come back together. The final answer's latency counts from `due`, with all waiting.
    pub async fn settle(&self, step: Step, request: &Request, due: Instant) -> Settled {
        let mut doubtful = false;
        loop {
            let tried_at = Instant::now();
            let answer = self.client.send(request).await;
            let wait = match &answer {
                Ok(answer) if !is_passing(answer.status) => {
                    self.funnel.record(step, answer.outcome(), due.elapsed());
                    break Settled {
                        answer: Ok(answer.clone()),
                        doubtful,
                    };
                }
                Ok(answer) => answer.retry_after().unwrap_or(DEFAULT_RETRY_AFTER),
                Err(_) => AFTER_NO_ANSWER,
            };
            let outcome = answer
                .as_ref()
                .map_or("no answer".to_owned(), Answer::outcome);
            let next = Instant::now() + wait + wait.mul_f64(rand::random::<f64>() / 2.0);
            if next > self.until {
                let given_up = format!("given up after {outcome}");
                self.funnel.record(step, given_up, due.elapsed());
                break Settled { answer, doubtful };
            }
            doubtful |= answer.is_ok_and(|it| it.status == StatusCode::SERVICE_UNAVAILABLE)
                || outcome == "no answer";
            self.funnel.record_again(step, &outcome, tried_at.elapsed());
            sleep_until(next).await;
        }
    }
}

fn is_passing(status: StatusCode) -> bool {
    [
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ]
    .contains(&status)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use axum::{Router, http::header::RETRY_AFTER, routing::post};

    use super::*;
    use crate::testing::serve;

    async fn settle(statuses: &'static [u16], patience: Duration) -> (Settled, Funnel) {
        let tries = Arc::new(AtomicU32::new(0));
        let handler = move || async move {
            let index = tries.fetch_add(1, Ordering::Relaxed) as usize;
            let status = statuses[index.min(statuses.len() - 1)];
            (StatusCode::from_u16(status).unwrap(), [(RETRY_AFTER, "0")])
        };
        let base = serve(Router::new().route("/", post(handler))).await;
        let client = Client::new(&base, 4).unwrap();
        let funnel = Funnel::default();
        let patience = Patience {
            client: &client,
            funnel: &funnel,
            until: Instant::now() + patience,
        };
        let request = Request::post("/");
        let settled = patience.settle(Step::Order, &request, Instant::now()).await;
        (settled, funnel)
    }

    #[tokio::test]
    async fn passing_answers_are_asked_again() {
        let (settled, funnel) = settle(&[425, 429, 503, 202], Duration::from_mins(1)).await;
        assert_eq!(settled.answer.unwrap().status, 202);
        assert!(settled.doubtful);
        let rows: Vec<String> = funnel.rows().into_iter().map(|row| row.outcome).collect();
        assert_eq!(rows, ["202", "425, again", "429, again", "503, again"]);
    }

    #[tokio::test]
    async fn an_early_answer_leaves_no_doubt() {
        let (settled, _) = settle(&[425, 409], Duration::from_mins(1)).await;
        assert_eq!(settled.answer.unwrap().status, 409);
        assert!(!settled.doubtful);
    }

    #[tokio::test]
    async fn patience_ends() {
        let (settled, funnel) = settle(&[503], Duration::ZERO).await;
        assert_eq!(settled.answer.unwrap().status, 503);
        assert_eq!(funnel.rows()[0].outcome, "given up after 503");
    }
}
