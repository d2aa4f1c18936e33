//! The line that shows how far the race is, on standard error.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::funnel::Funnel;

/// Counts buyers and says how they fare.
pub struct Progress {
    quiet: bool,
    /// Buyers whose time has come.
    pub arrived: AtomicU64,
    /// Buyers with an order.
    pub bought: AtomicU64,
    /// Buyers who were refused.
    pub refused: AtomicU64,
    /// Buyers who got no final answer.
    pub failed: AtomicU64,
}

impl Progress {
    /// Progress that is shown unless it is `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            arrived: AtomicU64::new(0),
            bought: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Says one thing: on a terminal in place of the last, elsewhere on a line of its own.
    pub fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        let mut stderr = std::io::stderr().lock();
        // Progress that cannot be shown stops no race.
        let _ = if stderr.is_terminal() {
            write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{text}")
        };
    }

    /// Ends the line on a terminal.
    pub fn end_line(&self) {
        if !self.quiet && std::io::stderr().is_terminal() {
            eprintln!();
        }
    }

    /// Shows the counts from `begun_at` on, until the future is dropped.
    pub async fn show(&self, funnel: &Funnel, begun_at: Instant, buyers: usize) {
        let period = if std::io::stderr().is_terminal() {
            200
        } else {
            1000
        };
        tokio::time::sleep_until(begun_at).await;
        loop {
            tokio::time::sleep(Duration::from_millis(period)).await;
            let [arrived, bought, refused, failed] =
                [&self.arrived, &self.bought, &self.refused, &self.failed]
                    .map(|count| count.load(Ordering::Relaxed));
            self.say(&format!(
                "{:5.1} s  arrived {arrived}/{buyers}  bought {bought}  refused {refused}  failed {failed}  tried again {}",
                begun_at.elapsed().as_secs_f64(),
                funnel.again(),
            ));
        }
    }
}
