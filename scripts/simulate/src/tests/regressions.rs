//! Schedules that once failed on what was shipped.
//!
//! Each defect has been mended since and lives on as a mutation. Its schedule passes without the mutation and fails with it,
//! and that the same one does so shows that the schedule still reaches the place.

use crate::{Failure, Mutation, Shape, schedule};

/// A defect that was shipped, and a schedule that shows it.
struct Regression {
    /// What was learnt from it.
    adr: u16,
    mutation: Mutation,
    shape: Shape,
    seed: u64,
    /// What the checks say, in part.
    says: &'static str,
}

const REGRESSIONS: &[Regression] = &[
    Regression {
        adr: 18,
        mutation: Mutation::ForgottenBuyer,
        shape: Shape::Failover,
        seed: 1_140,
        says: "I4: buyers in Redis",
    },
    Regression {
        adr: 18,
        mutation: Mutation::RaiseCountsOnRetired,
        shape: Shape::Lowers,
        seed: 4_090,
        says: "more than asked for",
    },
    Regression {
        adr: 22,
        mutation: Mutation::MoneyIsNotAskedFor,
        shape: Shape::Any,
        seed: 256,
        says: "I6: money that is on no record",
    },
    Regression {
        adr: 22,
        mutation: Mutation::ClosedIsCharged,
        shape: Shape::PayersDie,
        seed: 299,
        says: "I6: money that is on no record",
    },
    Regression {
        adr: 32,
        mutation: Mutation::LateLoaderFills,
        shape: Shape::Deletes,
        seed: 2_507,
        says: "a spike that is deleted is open in Redis",
    },
];

#[test]
fn what_was_shipped_once_is_still_found_by_its_schedule() {
    for regression in REGRESSIONS {
        let Regression {
            adr,
            mutation,
            shape,
            seed,
            says,
        } = *regression;
        if let Err(failure) = schedule::run(seed, shape, None, false) {
            super::give_up(&failure);
        }
        let failure = schedule::run(seed, shape, Some(mutation), false).err();
        let what = failure.map(|failure| failure.what).unwrap_or_default();
        assert!(
            what.contains(says),
            "ADR {adr}, {mutation:?}: seed {seed} says {what:?} and not {says:?}: the plan has changed. Find a new seed: {}",
            search(shape, mutation)
        );
    }
}

/// The command that finds a schedule in which the defect shows itself.
fn search(shape: Shape, mutation: Mutation) -> String {
    let failure = Failure {
        seed: 1,
        shape,
        mutation: Some(mutation),
        what: String::new(),
        trace: Vec::new(),
    };
    let command = failure.command();
    let command = command.trim_start_matches("again: ");
    command.replace("--reproduce 1", "--seed 1")
}
