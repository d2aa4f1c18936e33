//! The rows of the list of faults that need real processes.

pub mod broker;
pub mod clocks;
pub mod functions;
pub mod random;
pub mod redis;
pub mod slow_redis;
pub mod store;
pub mod tunables;

use std::{pin::Pin, time::Duration};

use anyhow::{bail, ensure};
use tokio::time::Instant;

use crate::{
    audit::{Allowed, Found, audit, sold_out},
    fleet::{Fleet, Target},
    logs,
    shop::{Shop, Shopper},
};

/// Longer than a function may remember that all is sold.
const FLAG: Duration = Duration::from_millis(1200);

/// What is logged as an error in one scenario because that is what it is about.
///
/// Where Redis goes back and the writer dies while it mends that, a unit that an audit has repaired can differ once more in the
/// next one, a second later. Operators are to look at that; what became of the unit, the audit from outside tells.
const EXPECTED: &[(&str, &str)] = &[
    (
        "fault_07_poison_among_good_events",
        "the queue gave up on an event",
    ),
    (
        "fault_07_poison_among_good_events",
        "a dead letter could not be kept yet",
    ),
    (
        "prewarm_raises_before_a_sale_and_lowers_when_it_is_gone",
        "the platform's API does not allow it",
    ),
    (
        "fault_10_redis_restarts_with_an_older_state",
        "incident: a repaired difference is there again",
    ),
    (
        "fault_12_a_lagging_replica_takes_over",
        "incident: a repaired difference is there again",
    ),
];

/// How thoroughly something is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// All scenarios together take less than five minutes.
    Short,
    /// As the list of faults says: a minute without a store, a hundred SIGTERMs.
    Long,
}

impl Form {
    /// The value for this form.
    pub fn pick<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

/// What a scenario does.
pub type Run =
    for<'a> fn(&'a Fleet, Form) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

/// One way to break the system.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name, which is that of its test too.
    pub name: &'static str,
    run: Run,
}

macro_rules! scenarios {
    ($($module:ident::$name:ident),* $(,)?) => {
        /// All scenarios, in the order of the list of faults.
        pub const ALL: &[Scenario] = &[$(Scenario {
            name: stringify!($name),
            run: |fleet, form| Box::pin($module::$name(fleet, form)),
        }),*];
    };
}

scenarios![
    functions::fault_01_killed_between_reserve_and_publish,
    functions::fault_02_killed_after_the_brokers_ack,
    broker::fault_03_the_broker_is_silent,
    broker::fault_04_the_broker_refuses,
    broker::fault_05_every_event_comes_ten_times,
    broker::fault_07_poison_among_good_events,
    broker::fault_08_three_of_ten_deliveries_are_refused,
    functions::fault_09_the_writer_is_killed_around_its_commit,
    redis::fault_10_redis_restarts_with_an_older_state,
    redis::fault_11_redis_is_wiped,
    redis::fault_12_a_lagging_replica_takes_over,
    store::fault_14_the_store_is_away,
    store::fault_15_the_store_throttles,
    clocks::fault_16_clocks_differ_by_five_minutes,
    functions::fault_17_two_sweepers_killed_at_every_step,
    functions::fault_19_cancel_and_pay_are_killed_between_store_and_redis,
    functions::fault_20_changes_of_a_sale_are_killed_half_way,
    random::fault_33_sigterm_under_load,
    tunables::fault_34_the_tunables_are_broken_and_swapped,
    slow_redis::fault_36_redis_is_slow_full_and_forgets_its_scripts,
    random::fault_09_kill_anything_every_second,
];

/// What came of a scenario.
#[derive(Debug)]
pub struct Outcome {
    /// Its name.
    pub name: &'static str,
    /// How many processes were killed.
    pub kills: u32,
    /// How long it took.
    pub took: Duration,
    /// What differs from what is due.
    pub result: anyhow::Result<()>,
}

impl Scenario {
    /// Something that is done to a fleet.
    #[must_use]
    pub const fn new(name: &'static str, run: Run) -> Self {
        Self { name, run }
    }

    /// Whether what it breaks is there. A store without HTTP throttles nobody.
    #[must_use]
    pub fn runs_on(&self, target: Target) -> bool {
        target == Target::Local || self.name != "fault_15_the_store_throttles"
    }

    /// Runs it and puts everything back in order. No process may end in a way that nobody asked for meanwhile, and none may
    /// log what must never be.
    pub async fn run(&self, fleet: &Fleet, form: Form) -> Outcome {
        let (begun_at, kills) = (Instant::now(), fleet.kills());
        let run = async {
            let mark = logs::Mark::set(&fleet.dir)?;
            let failed = fleet.failed();
            (self.run)(fleet, form).await?;
            fleet.restore().await?;
            let ended: Vec<_> = fleet.failed().into_iter().zip(failed).collect();
            if let Some(((name, _), _)) = ended.iter().find(|(now, before)| now != before) {
                bail!("{name} has ended, and nobody had asked it to");
            }
            let defects = fleet.defects();
            ensure!(defects.is_empty(), "sweeps failed: {defects:?}");
            let expected = EXPECTED.iter().filter(|(name, _)| *name == self.name);
            let expected: Vec<&str> = expected.map(|(_, text)| *text).collect();
            mark.quiet_since(&fleet.dir, &expected)
        };
        Outcome {
            name: self.name,
            result: run.await,
            kills: fleet.kills() - kills,
            took: begun_at.elapsed(),
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, kills, secs) = (self.name, self.kills, self.took.as_secs_f64());
        write!(f, "{name:<62} {kills:>4} kills {secs:>7.1} s  ")?;
        match &self.result {
            Ok(()) => write!(f, "ok"),
            Err(error) => write!(f, "FAILED: {error:#}"),
        }
    }
}

/// That the sale is sold out to those who came, and cost nobody anything.
pub async fn all_is_well(shop: &Shop<'_>, shoppers: &[Shopper]) -> anyhow::Result<Found> {
    let found = audit(shop, shoppers, shop.terms.units, Allowed::Nothing).await?;
    sold_out(shop, &found)?;
    Ok(found)
}
