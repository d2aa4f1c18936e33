//! Comparing a measure with its bound: A/B/A, void if the two As differ.

use std::fmt;

/// How far the two measurements of the bound may differ, as a part of the smaller.
const NOISE: f64 = 0.10;
/// How often a void run is repeated.
const TRIES: usize = 3;

/// What was measured, and whether it is good enough.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    name: &'static str,
    measured: String,
    bound: String,
    reached: bool,
    noisy: bool,
    details: String,
}

/// Which side of its bound a measure must be on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// At least.
    Least(f64),
    /// At most.
    Most(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::Least(bound) => value >= bound,
            Self::Most(bound) => value <= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Least(bound) => write!(f, ">= {bound:.2}"),
            Self::Most(bound) => write!(f, "<= {bound:.2}"),
        }
    }
}

impl Finding {
    /// A measure by itself.
    pub(crate) fn new(name: &'static str, value: f64, bound: Bound, details: String) -> Self {
        Self {
            name,
            measured: format!("{value:.2}"),
            bound: bound.to_string(),
            reached: bound.holds(value),
            noisy: false,
            details,
        }
    }

    /// A measure that is good enough for another reason as well.
    pub(crate) fn or(mut self, holds: bool, bound: &str) -> Self {
        self.reached |= holds;
        self.bound = format!("{} or {bound}", self.bound);
        self
    }

    /// Marks what was measured while something else was running.
    pub(crate) fn noisy(mut self, noisy: bool) -> Self {
        self.noisy = noisy;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.reached { "reached" } else { "MISSED" };
        let noise = if self.noisy { ", noisy" } else { "" };
        write!(
            f,
            "{:<44} {:>8}  {:<18} {verdict}{noise}  ({})",
            self.name, self.measured, self.bound, self.details
        )
    }
}

/// The values of one comparison.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compared {
    /// The bound's measure: the mean of both.
    pub(crate) a: f64,
    /// The measure.
    pub(crate) b: f64,
    /// Whether the last run was void, too.
    pub(crate) noisy: bool,
}

impl Compared {
    /// The measure over the bound's.
    pub(crate) fn ratio(&self) -> f64 {
        self.b / self.a
    }
}

/// Measures `a`, `b` and `a` again, until the two As agree.
pub(crate) async fn aba(
    what: &str,
    mut a: impl AsyncFnMut() -> anyhow::Result<f64>,
    mut b: impl AsyncFnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<Compared> {
    let mut tries = 0;
    loop {
        tries += 1;
        let (before, measured, after) = (a().await?, b().await?, a().await?);
        let noisy = (before - after).abs() > NOISE * before.min(after);
        println!(
            "{what}: A {before:.1}, B {measured:.1}, A {after:.1}{}",
            if noisy { ", void" } else { "" }
        );
        if !noisy || tries == TRIES {
            return Ok(Compared {
                a: f64::midpoint(before, after),
                b: measured,
                noisy,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn compared(series: &[f64]) -> (Compared, usize) {
        let mut taken = 0;
        let compared = aba(
            "test",
            async || {
                taken += 1;
                Ok(series[taken - 1])
            },
            async || Ok(50.0),
        )
        .await
        .unwrap();
        (compared, taken)
    }

    #[tokio::test]
    async fn a_quiet_run_counts_at_once() {
        let (compared, taken) = compared(&[100.0, 104.0]).await;
        assert!(!compared.noisy);
        assert_eq!(taken, 2);
        assert!((compared.ratio() - 50.0 / 102.0).abs() < 1e-9);
    }

    #[tokio::test]
    async fn a_void_run_is_repeated_and_at_last_reported() {
        let (compared_later, taken) = compared(&[100.0, 150.0, 100.0, 100.0]).await;
        assert!(!compared_later.noisy);
        assert_eq!(taken, 4);
        let (never, taken) = compared(&[100.0, 150.0, 100.0, 150.0, 100.0, 150.0]).await;
        assert!(never.noisy);
        assert_eq!(taken, 6);
    }
}
