//! One schedule: the seed decides who does what when, which steps are lost, and what breaks.

mod events;
mod latecomers;
mod wind_down;

use std::{collections::BTreeMap, time::Duration};

use axum::Router;
use clap::ValueEnum as _;
use domain::SpikeId;
use futures::FutureExt as _;
use rand::{Rng as _, RngExt, SeedableRng, rngs::StdRng};
use tokio::task::JoinHandle;

use crate::{
    check::{self, Checks},
    mutation::Mutation,
    plan::{self, BEGINS_AT_MS, Plan},
    shape::Shape,
    steps::{Choice, Instance, Steps},
    world::{PARTS, Part, World},
};

/// How many turns in which nothing happens make the scheduler believe that all wait.
const STILL: u32 = 4;

/// A schedule after which something was not as it must be.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// Which faults it was to have.
    pub shape: Shape,
    /// What was broken on purpose.
    pub mutation: Option<Mutation>,
    /// What was wrong.
    pub what: String,
    /// What happened, in words; empty unless asked for.
    pub trace: Vec<String>,
}

impl Failure {
    /// The schedule once more: what happened in words, what was wrong, and the command that shows it again. If it does not
    /// go wrong in the same way, the first lines say so: then something happens that the seed does not decide.
    ///
    /// # Panics
    /// If the machine has no resources for a runtime.
    #[must_use]
    pub fn again(&self) -> Vec<String> {
        let (mut lines, what) = match run(self.seed, self.shape, self.mutation, true) {
            Ok(passed) => (passed.trace, None),
            Err(failure) => (failure.trace, Some(failure.what)),
        };
        if what.as_ref() != Some(&self.what) {
            let now = what.as_deref().unwrap_or("nothing");
            lines.insert(
                0,
                format!("not reproducible: the second time what was wrong was: {now}"),
            );
        }
        lines.push(format!("seed {}: {}", self.seed, self.what));
        lines.push(self.command());
        lines
    }

    /// The command that shows the schedule.
    #[must_use]
    pub fn command(&self) -> String {
        let name = |value: Option<clap::builder::PossibleValue>| {
            value.map_or_else(String::new, |it| it.get_name().to_owned())
        };
        let mut command = format!(
            "again: cargo run --release -p simulate -- --reproduce {}",
            self.seed
        );
        if self.shape != Shape::of(self.mutation) {
            command.push_str(" --shape ");
            command.push_str(&name(self.shape.to_possible_value()));
        }
        if let Some(mutation) = self.mutation {
            command.push_str(" --mutation ");
            command.push_str(&name(mutation.to_possible_value()));
        }
        command
    }
}

/// A schedule after which everything was as it must be.
#[derive(Debug, Clone, Default)]
pub struct Passed {
    /// What it did.
    pub tally: Tally,
    /// What happened, in words; empty unless asked for.
    pub trace: Vec<String>,
}

/// What a schedule did.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Steps taken.
    pub steps: u64,
    /// Orders written.
    pub orders: u64,
    /// Processes killed.
    pub crashes: u64,
    /// Times that Redis lost data.
    pub losses: u64,
    /// Events that were refused for good.
    pub buried: u64,
    /// Events that were delivered although they were done.
    pub copies: u64,
    /// How often things happened that a test may want to have seen, by name.
    pub seen: BTreeMap<&'static str, u64>,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.orders += other.orders;
        self.crashes += other.crashes;
        self.losses += other.losses;
        self.buried += other.buried;
        self.copies += other.copies;
        for (what, count) in other.seen {
            *self.seen.entry(what).or_default() += count;
        }
    }
}

/// Runs one schedule.
///
/// # Panics
/// If the machine has no resources for a runtime.
#[expect(
    clippy::expect_used,
    reason = "without a runtime there is nothing to simulate"
)]
pub fn run(
    seed: u64,
    shape: Shape,
    mutation: Option<Mutation>,
    traced: bool,
) -> Result<Passed, Box<Failure>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut schedule = Schedule::new(seed, shape, mutation, traced).await;
        let ended = schedule.run().await;
        schedule.stop();
        schedule.tally.seen = schedule.world.steps.seen();
        let (tally, trace) = (schedule.tally, schedule.world.steps.trace());
        match ended {
            Ok(()) => Ok(Passed { tally, trace }),
            Err(what) => Err(Box::new(Failure {
                seed,
                shape,
                mutation,
                what,
                trace,
            })),
        }
    })
}

struct Process {
    part: Part,
    skew_ms: i64,
    router: Router,
    /// Its number changes when it is started anew: what it had under way never goes on.
    instance: Instance,
    tasks: Vec<JoinHandle<()>>,
}

struct Schedule {
    plan: Plan,
    world: World,
    random: StdRng,
    processes: Vec<Process>,
    checks: Checks,
    tally: Tally,
    instances: Instance,
    copies: u64,
}

impl Schedule {
    async fn new(seed: u64, shape: Shape, mutation: Option<Mutation>, traced: bool) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut plan = Plan::draw(&mut random);
        shape.apply(&mut plan);
        let steps = Steps::new(BEGINS_AT_MS, traced);
        let world = World::new(steps, &mut random, mutation);
        world.steps.note(|| format!("{plan:?}"));
        for number in (0..=plan::USERS)
            .chain(plan::latecomers())
            .chain([plan::OUTSIDER])
        {
            let _ = store::Users::add_users(&world.store, &[plan::user(number)]).await;
        }
        for spike in &plan.spikes {
            let _ = store::Spikes::add_spike(&world.store, spike).await;
        }
        let mut schedule = Self {
            plan,
            world,
            random,
            processes: Vec::new(),
            checks: Checks::default(),
            tally: Tally::default(),
            instances: 0,
            copies: 0,
        };
        for part in PARTS {
            let skew_ms = match schedule.plan.clocks_apart {
                true if schedule.processes.len().is_multiple_of(2) => 300_000,
                true => -300_000,
                false => schedule.random.random_range(-300_000..=300_000),
            };
            let process = schedule.start(part, skew_ms);
            schedule.processes.push(process);
        }
        schedule
    }

    fn start(&mut self, part: Part, skew_ms: i64) -> Process {
        self.instances += 1;
        let instance = self.instances;
        self.world
            .steps
            .note(|| format!("{part:?} starts as #{instance}"));
        Process {
            part,
            skew_ms,
            router: self.world.start(instance, part, skew_ms),
            instance,
            tasks: Vec::new(),
        }
    }

    async fn run(&mut self) -> Result<(), String> {
        for _ in 0..self.plan.steps {
            self.settle().await;
            self.checks.after_step(&self.world, &self.plan)?;
            let waiting = self.world.steps.waiting();
            if !waiting.is_empty() && self.random.random_ratio(4, 5) {
                let id = waiting[self.random.random_range(0..waiting.len())];
                let choice = self.fate(id);
                self.world.steps.take(id, choice);
                self.tally.steps += 1;
            } else {
                self.something().await;
            }
        }
        self.wind_down().await?;
        self.tally.orders = self.world.store.state().orders.len() as u64;
        self.tally.buried = self.world.book().buried;
        self.tally.copies = self.copies;
        check::at_rest(&self.world)
    }

    fn fate(&mut self, step: u64) -> Choice {
        let is_near = |at| self.world.steps.at(step) == Some(at);
        let losses = if self.plan.losses_at.is_none_or(is_near) {
            self.plan.losses_per_mille
        } else {
            0
        };
        if !self.random.random_ratio(losses, 1000) {
            return Choice::Proceed;
        }
        if self.random.random() {
            Choice::FailBefore
        } else {
            Choice::FailAfter
        }
    }

    /// Lets every process go on until all wait for a step or are done.
    async fn settle(&mut self) {
        let mut still = 0;
        while still < STILL {
            let before = self.world.steps.moves();
            tokio::task::yield_now().await;
            if !access::is_idle() {
                // Rules are compiled on threads that nobody schedules; nothing else happens until they are done.
                std::thread::sleep(Duration::from_micros(50));
                still = 0;
                continue;
            }
            still = if self.world.steps.moves() == before {
                still + 1
            } else {
                0
            };
        }
        for process in &mut self.processes {
            process.tasks.retain_mut(|task| {
                let Some(ended) = task.now_or_never() else {
                    return true;
                };
                if ended.is_err_and(|error| error.is_panic()) {
                    let part = process.part;
                    self.world.steps.violate(format!("{part:?} panicked"));
                }
                false
            });
        }
    }

    fn spike_id(&mut self) -> SpikeId {
        self.plan.spikes[self.random.random_range(0..self.plan.spikes.len())].id
    }

    /// A process of this part, drawn.
    fn process(&mut self, part: Part) -> usize {
        let of: Vec<usize> = (0..self.processes.len())
            .filter(|index| self.processes[*index].part == part)
            .collect();
        of[self.random.random_range(0..of.len())]
    }

    fn spawn<F>(&mut self, process: usize, actor: impl FnOnce(World, Router) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let process = &mut self.processes[process];
        let task = tokio::spawn(actor(self.world.clone(), process.router.clone()));
        process.tasks.push(task);
    }

    async fn pass(&mut self, ms: u64) {
        self.world.steps.note(|| format!("{ms} ms pass"));
        self.world.steps.pass(i64::try_from(ms).unwrap_or(0));
        tokio::time::advance(Duration::from_millis(ms)).await;
    }

    fn stop(&mut self) {
        for process in &mut self.processes {
            for task in process.tasks.drain(..) {
                task.abort();
            }
        }
        // Used up, so that two runs of a seed that differ are noticed by whoever compares the traces.
        let last = self.random.next_u64();
        self.world.steps.note(|| format!("the end ({last})"));
    }
}
