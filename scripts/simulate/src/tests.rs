//! The simulator's own tests: the store in memory keeps the port's promises, a seed is a schedule, no schedule breaks an
//! invariant, and each deliberate defect is caught.

use clap::ValueEnum as _;

use crate::{Failure, Mutation, Shape, run_many, schedule};

mod in_memory {
    use crate::store::MemoryStore;

    fn memory() -> std::future::Ready<(MemoryStore, ())> {
        std::future::ready((MemoryStore::default(), ()))
    }

    ::store::promises!(memory);
}

mod faults;
mod races;

/// How many schedules every test run tries.
const SCHEDULES: u64 = 20_000;
/// How many a defect has to show itself in.
const ENOUGH: u64 = 6_000;
/// What no schedule shows.
///
/// `offer` is called for units that an audit found to be nobody's, and whoever makes such a unit somebody's in between does so
/// within the audit's lease: its compare is a second line, of which `stock` has its own test. The lease in turn spares
/// Redis two audits of a spike at once; what they would write is compared. And whoever acknowledges has seen the order in
/// the store, so that any entry of its reservation may go: its bytes are only the cheapest way to name it.
const OUT_OF_REACH: [Mutation; 3] = [
    Mutation::OfferWhatIsHeld,
    Mutation::AuditsOverlap,
    Mutation::AcknowledgeByReservation,
];

#[test]
fn a_seed_is_a_schedule() {
    for seed in 1..40 {
        let trace =
            || match schedule::run(seed, Shape::Any, Some(Mutation::UnitClaimsIgnored), true) {
                Ok(tally) => vec![format!("{tally:?}")],
                Err(failure) => failure.trace,
            };
        assert_eq!(trace(), trace(), "seed {seed}");
    }
}

#[test]
fn no_schedule_breaks_an_invariant() {
    let tally = run_many(1, SCHEDULES, Shape::Any, None).unwrap_or_else(|failure| report(&failure));
    assert!(
        tally.orders > SCHEDULES && tally.losses > SCHEDULES / 10,
        "{tally:?}"
    );
}

fn report(failure: &Failure) -> ! {
    panic!("{}", failure.again().join("\n"))
}

#[test]
fn each_defect_is_caught() {
    let survivors: Vec<Mutation> = Mutation::value_variants()
        .iter()
        .copied()
        .filter(|mutation| !OUT_OF_REACH.contains(mutation))
        .filter(|mutation| {
            let caught = run_many(1, ENOUGH, mutation.shape(), Some(*mutation)).err();
            // A script that does not run at all would show nothing.
            caught.is_none_or(|failure| failure.what.contains("a hole in the simulation"))
        })
        .collect();
    assert_eq!(survivors, []);
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
