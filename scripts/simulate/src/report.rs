//! What the binary tells: of one schedule what happened in words, of many how much was tried and what was wrong.

use crate::{Failure, Mutation, Shape, Tally, mutation::OUT_OF_REACH, run_many, schedule};

/// What is told, and whether it is as it should be.
#[derive(Debug, Clone)]
pub struct Report {
    /// In words.
    pub lines: Vec<String>,
    /// Nothing was wrong; with something broken on purpose: it was caught.
    pub as_it_should: bool,
}

/// One schedule, step by step, whether it passes or not.
///
/// # Panics
/// If the machine has no resources for a runtime.
#[must_use]
pub fn one(seed: u64, shape: Shape, mutation: Option<Mutation>) -> Report {
    match schedule::run(seed, shape, mutation, true) {
        Ok(passed) => {
            let mut lines = passed.trace;
            lines.push(format!("seed {seed} passes: {:?}", passed.tally));
            Report {
                lines,
                as_it_should: mutation.is_none(),
            }
        }
        Err(failure) => Report {
            lines: failure.again(),
            as_it_should: mutation.is_some(),
        },
    }
}

/// Many schedules, from this seed on.
#[must_use]
pub fn many(first: u64, count: u64, shape: Shape, mutation: Option<Mutation>) -> Report {
    match (run_many(first, count, shape, mutation), mutation) {
        (Ok(tally), None) => Report {
            lines: vec![format!("{tally:?}")],
            as_it_should: true,
        },
        (Ok(tally), Some(mutation)) => survived(count, mutation, &tally),
        (Err(failure), None) => Report {
            lines: failure.again(),
            as_it_should: false,
        },
        (Err(failure), Some(mutation)) => Report {
            lines: caught(mutation, &failure),
            as_it_should: true,
        },
    }
}

fn caught(mutation: Mutation, failure: &Failure) -> Vec<String> {
    vec![
        format!(
            "{mutation:?} is caught, seed {}: {}",
            failure.seed, failure.what
        ),
        failure.command(),
    ]
}

fn survived(count: u64, mutation: Mutation, tally: &Tally) -> Report {
    let known = if OUT_OF_REACH.contains(&mutation) {
        ", as is known of it (docs/guarantees.md)"
    } else {
        ""
    };
    Report {
        lines: vec![
            format!("{tally:?}"),
            format!("{mutation:?} survived all {count} schedules{known}"),
        ],
        as_it_should: false,
    }
}
