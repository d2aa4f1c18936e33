//! The simulator's own tests: the store in memory keeps the port's promises, a seed is a schedule, no schedule breaks an
//! invariant, and each deliberate defect is caught.

use clap::ValueEnum as _;

use crate::{Failure, Mutation, Shape, mutation::OUT_OF_REACH, report, run_many, schedule};

mod in_memory {
    use crate::store::MemoryStore;

    fn memory() -> std::future::Ready<(MemoryStore, ())> {
        std::future::ready((MemoryStore::default(), ()))
    }

    ::store::promises!(memory);
}

mod faults;
mod races;
mod regressions;

/// How many schedules every test run tries.
const SCHEDULES: u64 = 20_000;
/// How many a defect has to show itself in.
const ENOUGH: u64 = 6_000;
/// How many a defect that no schedule shows has to survive.
const SURVIVED: u64 = 300;

#[test]
fn a_seed_is_a_schedule() {
    let (mut passed, mut failed) = (0, 0);
    for seed in 1..40 {
        for mutation in [None, Some(Mutation::UnitClaimsIgnored)] {
            let mut trace = || match schedule::run(seed, Shape::Any, mutation, true) {
                Ok(schedule) => {
                    passed += 1;
                    schedule.trace
                }
                Err(failure) => {
                    failed += 1;
                    failure.trace
                }
            };
            let (first, second) = (trace(), trace());
            assert!(first.len() > 50, "seed {seed}: {first:?}");
            let differs = first.iter().zip(&second).find(|(one, other)| one != other);
            assert_eq!(differs, None, "seed {seed}");
            assert_eq!(first.len(), second.len(), "seed {seed}");
        }
    }
    assert!(
        passed > 40 && failed > 4,
        "{passed} passed, {failed} failed"
    );
}

#[test]
fn a_schedule_is_shown_whether_it_passes_or_not() {
    let passes = report::one(1, Shape::Any, None);
    assert!(passes.as_it_should && passes.lines.len() > 50);
    let last = passes.lines.last().unwrap();
    assert!(last.starts_with("seed 1 passes: "), "{last}");

    let mutation = Mutation::LastUnitIsKept;
    let caught = report::many(1, 50, Shape::Any, Some(mutation));
    assert!(caught.as_it_should, "{caught:?}");
    assert!(
        caught.lines[0].starts_with("LastUnitIsKept is caught, seed "),
        "{caught:?}"
    );
    let failure = run_many(1, 50, Shape::Any, Some(mutation)).unwrap_err();
    let shown = report::one(failure.seed, Shape::Any, Some(mutation));
    assert!(shown.as_it_should && shown.lines.len() > 50);
    assert!(!shown.lines[0].contains("not reproducible"));
    let command = format!(" --reproduce {} --mutation last-unit-is-kept", failure.seed);
    assert!(shown.lines.last().unwrap().ends_with(&command));
}

#[test]
fn what_is_not_reproducible_is_said_to_be_so() {
    let failure = Failure {
        seed: 1,
        shape: Shape::Any,
        mutation: None,
        what: "something that was never wrong".to_owned(),
        trace: Vec::new(),
    };
    let lines = failure.again();
    assert_eq!(
        lines[0],
        "not reproducible: the second time what was wrong was: nothing"
    );
    assert!(lines.len() > 50, "{lines:?}");
}

#[test]
fn a_shape_that_is_not_the_defects_own_is_named() {
    let failure = |shape, mutation| Failure {
        seed: 7,
        shape,
        mutation,
        what: String::new(),
        trace: Vec::new(),
    };
    let own = failure(Shape::Lowers, Some(Mutation::RaiseCountsOnRetired));
    assert!(!own.command().contains("--shape"), "{}", own.command());
    let other = failure(Shape::Any, Some(Mutation::RaiseCountsOnRetired));
    assert!(
        other.command().contains("--shape any "),
        "{}",
        other.command()
    );
    let calm = failure(Shape::Calm, None);
    assert!(calm.command().ends_with("--reproduce 7 --shape calm"));
}

#[test]
fn no_schedule_breaks_an_invariant() {
    let tally =
        run_many(1, SCHEDULES, Shape::Any, None).unwrap_or_else(|failure| give_up(&failure));
    assert!(
        tally.orders > SCHEDULES && tally.losses > SCHEDULES / 10,
        "{tally:?}"
    );
}

fn give_up(failure: &Failure) -> ! {
    panic!("{}", failure.again().join("\n"))
}

/// Whoever reads the output sees by which check each is caught.
#[test]
fn each_defect_is_caught() {
    let mut survivors = Vec::new();
    for mutation in Mutation::value_variants().iter().copied() {
        if OUT_OF_REACH.contains(&mutation) {
            continue;
        }
        match run_many(1, ENOUGH, mutation.shape(), Some(mutation)).err() {
            // A script that does not run at all would show nothing.
            Some(failure) if !failure.what.contains("a hole in the simulation") => {
                println!("{mutation:?}: seed {}: {}", failure.seed, failure.what);
                // It is the defect that is caught, and nothing else.
                if let Err(failure) = schedule::run(failure.seed, failure.shape, None, false) {
                    give_up(&failure);
                }
            }
            _ => survivors.push(mutation),
        }
    }
    assert_eq!(survivors, []);
}

#[test]
fn what_is_out_of_reach_survives() {
    for mutation in OUT_OF_REACH {
        let survived = report::many(1, SURVIVED, mutation.shape(), Some(mutation));
        assert!(
            !survived.as_it_should,
            "{mutation:?} is within reach: {:?}",
            survived.lines
        );
    }
}

#[test]
fn each_defect_of_a_script_changes_it() {
    for mutation in Mutation::value_variants() {
        let Some((name, right, _)) = mutation.edit() else {
            continue;
        };
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/stock/src/lua");
        let code = std::fs::read_to_string(format!("{folder}/{name}.lua")).unwrap();
        assert_eq!(code.matches(right).count(), 1, "{mutation:?}");
        let wrong = mutation.script(&code);
        assert!(wrong.is_some_and(|wrong| wrong != code), "{mutation:?}");
    }
}
