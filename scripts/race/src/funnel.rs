//! What became of all requests, step by step: counts and latencies.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hdrhistogram::Histogram;

use crate::client::lock;

/// The steps of a purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Asking whether one may buy.
    Access,
    /// Fetching a path token.
    Token,
    /// Ordering.
    Order,
    /// Asking what became of the order.
    Poll,
    /// From the 202 to the first answer that shows a durable order.
    Durable,
    /// Reading the order.
    Read,
}

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Token => "token",
            Self::Order => "order",
            Self::Poll => "poll",
            Self::Durable => "durable",
            Self::Read => "read",
        }
    }
}

/// Counts outcomes and their latencies.
#[derive(Default)]
pub struct Funnel {
    rows: Mutex<BTreeMap<(Step, String), Histogram<u64>>>,
    again: AtomicU64,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// The step.
    pub step: Step,
    /// What it ended with: `409 sold-out`, or `503 busy, again` for a try that was followed by another.
    pub outcome: String,
    /// How often.
    pub count: u64,
    /// Half were at most this slow.
    pub p50: Duration,
    /// 99 of 100 were at most this slow.
    pub p99: Duration,
    /// The slowest.
    pub max: Duration,
}

impl Funnel {
    /// Counts the end of a step.
    pub fn record(&self, step: Step, outcome: impl Into<String>, latency: Duration) {
        let mut rows = lock(&self.rows);
        let histogram = rows.entry((step, outcome.into())).or_insert_with(empty);
        histogram.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts a try that is followed by another.
    pub fn record_again(&self, step: Step, outcome: &str, latency: Duration) {
        self.again.fetch_add(1, Ordering::Relaxed);
        self.record(step, format!("{outcome}, again"), latency);
    }

    /// How many tries were followed by another.
    #[must_use]
    pub fn again(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }

    /// All rows, in the order of the steps.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let rows = lock(&self.rows);
        rows.iter()
            .map(|((step, outcome), latencies)| Row {
                step: *step,
                outcome: outcome.clone(),
                count: latencies.len(),
                p50: Duration::from_micros(latencies.value_at_quantile(0.5)),
                p99: Duration::from_micros(latencies.value_at_quantile(0.99)),
                max: Duration::from_micros(latencies.max()),
            })
            .collect()
    }

    /// The latency that 99 of 100 final answers of `step` did not exceed, whatever they were.
    #[must_use]
    pub fn p99(&self, step: Step) -> Duration {
        let rows = lock(&self.rows);
        let mut all = empty();
        for ((_, _), latencies) in rows
            .iter()
            .filter(|((of, outcome), _)| *of == step && !outcome.ends_with(", again"))
        {
            // Both have the same bounds, so that nothing can be lost.
            all += latencies;
        }
        Duration::from_micros(all.value_at_quantile(0.99))
    }
}

/// Microseconds up to ten minutes, two digits: rounding by at most one per cent costs 15 KiB a row.
#[expect(
    clippy::expect_used,
    reason = "the bounds are constants that the library accepts"
)]
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 2).expect("1..600_000_000 with two digits")
}

/// Writes rows as a table; latencies in milliseconds.
pub fn write_table(rows: &[Row], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let head = ["step", "outcome", "count", "p50 ms", "p99 ms", "max ms"];
    let [step, outcome, count, p50, p99, max] = head;
    let width = rows.iter().map(|row| row.outcome.len()).max().unwrap_or(0);
    let width = width.max(outcome.len());
    writeln!(
        f,
        "{step:<8} {outcome:<width$} {count:>7} {p50:>9} {p99:>9} {max:>9}"
    )?;
    for row in rows {
        let [p50, p99, max] = [row.p50, row.p99, row.max].map(|it| it.as_secs_f64() * 1e3);
        writeln!(
            f,
            "{:<8} {:<width$} {:>7} {p50:>9.1} {p99:>9.1} {max:>9.1}",
            row.step.as_str(),
            row.outcome,
            row.count,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_steps() {
        let funnel = Funnel::default();
        funnel.record(Step::Order, "409 sold-out", Duration::from_millis(7));
        funnel.record(Step::Access, "200", Duration::from_millis(1));
        funnel.record(Step::Order, "202", Duration::from_millis(3));
        funnel.record(Step::Order, "202", Duration::from_millis(5));
        let rows = funnel.rows();
        let outcomes: Vec<&str> = rows.iter().map(|row| row.outcome.as_str()).collect();
        assert_eq!(outcomes, ["200", "202", "409 sold-out"]);
        assert_eq!(rows[1].count, 2);
        assert!(rows[1].max.abs_diff(Duration::from_millis(5)) < Duration::from_micros(100));
    }

    #[test]
    fn tries_that_were_followed_by_another_are_no_final_answers() {
        let funnel = Funnel::default();
        funnel.record_again(Step::Order, "503 busy", Duration::from_mins(1));
        funnel.record(Step::Order, "202", Duration::from_millis(10));
        assert!(funnel.p99(Step::Order) < Duration::from_millis(11));
        assert_eq!(funnel.again(), 1);
    }

    #[test]
    fn nothing_recorded_is_no_latency() {
        assert_eq!(Funnel::default().p99(Step::Order), Duration::ZERO);
    }
}
