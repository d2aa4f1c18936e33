//! What the race found.

use std::{fmt, time::Duration};

use domain::SpikeId;

use crate::{
    audit::Check,
    buyer::{Bought, End},
    funnel::{self, Row},
};

/// The result of a race.
#[derive(Debug, Clone)]
pub struct Report {
    /// The spike that was raced for.
    pub spike_id: SpikeId,
    /// What became of all requests, without the audit's own.
    pub rows: Vec<Row>,
    /// The latency that 99 of 100 answers to an order did not exceed.
    pub order_p99: Duration,
    /// From the last 202 until the last order was seen to be durable.
    pub durable_after: Duration,
    /// The audit.
    pub checks: Vec<Check>,
}

impl Report {
    /// Puts a report together.
    #[must_use]
    pub fn new(
        spike_id: SpikeId,
        rows: Vec<Row>,
        order_p99: Duration,
        ends: &[End],
        checks: Vec<Check>,
    ) -> Self {
        Self {
            spike_id,
            rows,
            order_p99,
            durable_after: durable_after(ends),
            checks,
        }
    }

    /// Whether every promise was kept.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.kept)
    }
}

fn durable_after(ends: &[End]) -> Duration {
    let bought = || {
        ends.iter().filter_map(|end| match end {
            End::Bought(bought) => Some(bought),
            End::Refused(_) | End::Failed(_) => None,
        })
    };
    let accepted: Option<_> = bought()
        .map(|Bought { accepted_at, .. }| *accepted_at)
        .max();
    let durable: Option<_> = bought().map(|Bought { durable_at, .. }| *durable_at).max();
    let after = accepted
        .zip(durable)
        .map(|(accepted, durable)| durable - accepted);
    after.unwrap_or_default()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "spike {}\n", self.spike_id)?;
        funnel::write_table(&self.rows, f)?;
        writeln!(
            f,
            "\nall orders durable {:.2} s after the last 202\n",
            self.durable_after.as_secs_f64()
        )?;
        for check in &self.checks {
            let verdict = if check.kept { "ok    " } else { "FAILED" };
            writeln!(f, "{verdict} {}: {}", check.promise, check.found)?;
        }
        let broken = self.checks.iter().filter(|check| !check.kept).count();
        match broken {
            0 => write!(f, "race: passed"),
            _ => write!(
                f,
                "race: FAILED, {broken} of {} promises broken",
                self.checks.len()
            ),
        }
    }
}
