//! Repeating the first step while a sale is open, for timers that call once a minute.
//!
//! A reservation whose publisher died is a buyer who waits. On `local` the timer calls every two seconds; elsewhere a run
//! makes up for the longer distance by publishing again and again for most of a minute. Nothing but that is repeated.

use std::time::Duration;

use domain::{Spike, Timestamp};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{AppState, Summary, publish};

/// How long a round that began in time may still take: a run that repeats for 50 s answers within the 59 s that it has on
/// AWS, and before the next call of a timer that calls every minute.
const ROUND_WITHIN: Duration = Duration::from_secs(8);

/// How a run repeats its first step.
#[derive(Debug, Clone)]
pub struct Repeat {
    every: Duration,
    within: Duration,
    stop: Shared<BoxFuture<'static, ()>>,
}

impl Repeat {
    /// A round every so often, the last one `within` so long after the run began; none begins once `stop` has ended.
    pub fn new(
        every: Duration,
        within: Duration,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            every,
            within,
            stop: stop.boxed().shared(),
        }
    }

    /// The rounds of a run that began then.
    fn rounds(&self, begun_at: Instant) -> Rounds {
        Rounds {
            every: self.every,
            stop: self.stop.clone(),
            next: begun_at + self.every,
            last: begun_at + self.within,
        }
    }
}

/// What is left of a run.
struct Rounds {
    every: Duration,
    stop: Shared<BoxFuture<'static, ()>>,
    next: Instant,
    last: Instant,
}

impl Rounds {
    /// Waits for the next round; `false` if there is none any more. `sells` is asked what the sales do, now and in the time
    /// that is left.
    async fn next(&mut self, sells: impl Fn(Duration) -> Sells) -> bool {
        loop {
            // Rounds that were missed are not made up for.
            let now = Instant::now();
            let due = self.next.max(now);
            let left = self.last.saturating_duration_since(now);
            if due > self.last || sells(left) == Sells::Never {
                return false;
            }
            tokio::select! {
                biased;
                () = self.stop.clone() => return false,
                () = sleep_until(due) => {}
            }
            self.next = due + self.every;
            if sells(Duration::ZERO) == Sells::Now {
                return true;
            }
        }
    }

    /// When a round has to be over; what it leaves undone is the next run's.
    fn end(&self) -> Instant {
        self.last + ROUND_WITHIN
    }
}

/// Whether anything is sold that may have to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sells {
    /// A sale is open, or paused after it has opened.
    Now,
    /// None is, and one opens in time.
    Later,
    /// None is, and none will be in time.
    Never,
}

/// What these spikes do at `now`, or else within `left` after it.
fn sells(spikes: &[Spike], now: Timestamp, left: Duration) -> Sells {
    let coming = spikes.iter().filter(|spike| !spike.has_ended(now));
    match coming.map(|spike| spike.settings.starts_at).min() {
        Some(opens_at) if opens_at <= now => Sells::Now,
        Some(opens_at) if opens_at <= now + left => Sells::Later,
        Some(_) | None => Sells::Never,
    }
}

/// Publishes what has become due meanwhile, for as long as the run repeats and one of its spikes is on sale. A timer's call
/// may come a moment before a sale opens, and the next a minute later: it waits for that sale.
pub(crate) async fn publish_again(app: &AppState, spikes: &[Spike], begun_at: Instant) -> Summary {
    let mut summary = Summary::default();
    let Some(repeat) = &app.repeat else {
        return summary;
    };
    let mut rounds = repeat.rounds(begun_at);
    while rounds
        .next(|left| sells(spikes, app.stock.now(), left))
        .await
    {
        let published = publish::publish_all(app, spikes, &mut summary);
        if timeout_at(rounds.end(), published).await.is_err() {
            tracing::warn!("publishing again ran out of time");
        }
    }
    summary
}

#[cfg(test)]
mod tests;
