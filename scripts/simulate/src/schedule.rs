//! One schedule: the seed decides who does what when, which steps are lost, and what breaks.

use std::time::Duration;

use axum::Router;
use domain::{OrderState, SpikeId, UserId};
use rand::{Rng as _, RngExt, SeedableRng, rngs::StdRng};
use tokio::task::JoinHandle;

use crate::{
    actors::{self, Change},
    check::{self, Checks},
    mutation::Mutation,
    plan::{self, BEGINS_AT_MS, Plan},
    steps::{Choice, Instance, Steps},
    world::{PARTS, Part, World},
};

/// How many processes' memories are looked at before the scheduler believes that all wait.
const STILL: u32 = 4;
/// How many turns everything gets to come to rest.
const WIND_DOWN_TURNS: u32 = 60;

/// A schedule after which something was not as it must be.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What was wrong.
    pub what: String,
    /// What happened, in words; empty unless asked for.
    pub trace: Vec<String>,
}

/// What a schedule did.
#[derive(Debug, Clone, Copy, Default)]
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
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.orders += other.orders;
        self.crashes += other.crashes;
        self.losses += other.losses;
        self.buried += other.buried;
        self.copies += other.copies;
    }
}

/// Runs one schedule.
///
/// # Panics
/// If the machine has no resources for a runtime.
pub fn run(seed: u64, mutation: Option<Mutation>, traced: bool) -> Result<Tally, Box<Failure>> {
    run_shaped(seed, mutation, traced, |_| {})
}

/// Runs one schedule whose plan is changed after it was drawn, to look at one fault closely.
///
/// # Panics
/// If the machine has no resources for a runtime.
#[expect(
    clippy::expect_used,
    reason = "without a runtime there is nothing to simulate"
)]
pub fn run_shaped(
    seed: u64,
    mutation: Option<Mutation>,
    traced: bool,
    shape: fn(&mut Plan),
) -> Result<Tally, Box<Failure>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut schedule = Schedule::new(seed, mutation, traced, shape).await;
        let ended = schedule.run().await;
        schedule.stop();
        ended.map(|()| schedule.tally).map_err(|what| {
            let trace = schedule.world.steps.trace();
            Box::new(Failure { seed, what, trace })
        })
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
    async fn new(
        seed: u64,
        mutation: Option<Mutation>,
        traced: bool,
        shape: fn(&mut Plan),
    ) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut plan = Plan::draw(&mut random);
        shape(&mut plan);
        let steps = Steps::new(BEGINS_AT_MS, traced);
        let world = World::new(steps, &mut random, mutation);
        world.steps.note(|| format!("{plan:?}"));
        for number in 0..=plan::USERS {
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
            let skew_ms = schedule.random.random_range(-300_000..=300_000);
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
                let choice = self.fate();
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

    fn fate(&mut self) -> Choice {
        let losses = self.plan.losses_per_mille;
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
            process.tasks.retain(|task| !task.is_finished());
        }
    }

    async fn something(&mut self) {
        match self.random.random_range(0..100) {
            0..40 => self.somebody_buys(),
            40..62 => self.deliver_some(),
            62..70 => self.sweep(),
            70..76 => self.somebody_pays_or_cancels(),
            76..80 if self.plan.admin => self.somebody_changes_the_sale(),
            80..84 if self.plan.crashes => self.crash(),
            84..89 => self.something_breaks(),
            _ => self.time_passes().await,
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

    fn somebody_buys(&mut self) {
        let user_id = plan::user_id(self.random.random_range(0..self.plan.users));
        let quantity = if self.random.random_ratio(2, 3) {
            1
        } else {
            self.random.random_range(1..=4)
        };
        let (spike_id, process) = (self.spike_id(), self.process(Part::Spike));
        self.spawn(process, |world, router| {
            actors::buy(world, router, spike_id, user_id, quantity)
        });
    }

    fn deliver_some(&mut self) {
        if self.random.random_ratio(self.plan.copies_percent, 100) {
            self.duplicate();
        }
        if self.plan.poison && self.random.random_ratio(1, 10) {
            self.poison();
        }
        let message = {
            let book = self.world.book();
            let count = book.messages.len();
            if count == 0 {
                return;
            }
            book.messages[self.random.random_range(0..count)].clone()
        };
        let process = self.process(Part::Writer);
        self.spawn(process, |world, router| {
            actors::deliver(world, router, message)
        });
    }

    /// The broker delivers something again that was done, however long ago.
    fn duplicate(&mut self) {
        let mut book = self.world.book();
        let count = book.done.len();
        if count > 0 {
            let body = book.done[self.random.random_range(0..count)].clone();
            self.copies += 1;
            book.post(body, false);
        }
    }

    /// Something comes that no version of the writer can read.
    fn poison(&mut self) {
        let kind = self.random.random_range(0..4);
        let body = match kind {
            0 => b"{".to_vec(),
            1 => br#"{"specversion":"1.0","type":"spike.order.placed.v9","source":"/x","id":"1","data":{}}"#.to_vec(),
            2 => br#"{"specversion":"1.0","type":"spike.order.placed.v1","source":"/x","id":"1","data":{}}"#.to_vec(),
            _ => vec![b'x'; 300_000],
        };
        self.world.book().post(body, true);
    }

    fn sweep(&mut self) {
        let process = self.process(Part::Sweeper);
        if self.processes[process].tasks.len() < 2 {
            self.spawn(process, actors::sweep);
        }
    }

    /// An order that somebody may pay or cancel: a promised or a written one.
    fn somebodys_order(&mut self) -> Option<(domain::OrderId, UserId)> {
        let book = self.world.book();
        let orders: Vec<_> = book
            .promised
            .iter()
            .map(|(id, (_, user))| (*id, *user))
            .collect();
        (!orders.is_empty()).then(|| orders[self.random.random_range(0..orders.len())])
    }

    fn somebody_pays_or_cancels(&mut self) {
        let Some((order_id, user_id)) = self.somebodys_order() else {
            return;
        };
        let process = self.process(Part::Till);
        if self.random.random() {
            self.spawn(process, |world, router| {
                actors::pay(world, router, order_id, user_id)
            });
        } else {
            self.spawn(process, |world, router| {
                actors::cancel(world, router, order_id, user_id)
            });
        }
    }

    fn somebody_changes_the_sale(&mut self) {
        let spike_id = self.spike_id();
        let stock = self.plan.spikes[0].settings.stock;
        let lowest = if self.plan.lowers { 0 } else { stock + 1 };
        let change = match self.random.random_range(0..5) {
            0 | 1 if self.plan.lowers => {
                Change::Stock(self.random.random_range(lowest..=stock + 3))
            }
            0 | 1 => {
                let stored = self
                    .world
                    .store
                    .state()
                    .spikes
                    .get(&spike_id)
                    .map(|it| it.settings.stock);
                Change::Stock(stored.unwrap_or(stock) + 1)
            }
            2 => Change::Limit(self.random.random_range(1..=4)),
            3 => Change::Pause,
            _ => Change::Resume,
        };
        let process = self.process(Part::Admin);
        self.spawn(process, |world, router| {
            actors::change(world, router, spike_id, change)
        });
    }

    /// A process is killed at whatever step it had come to, and started anew.
    fn crash(&mut self) {
        let index = match self.plan.victim {
            Some(part) => self.process(part),
            None => self.random.random_range(0..self.processes.len()),
        };
        let Process {
            part,
            skew_ms,
            instance,
            ..
        } = self.processes[index];
        self.world
            .steps
            .note(|| format!("{part:?} #{instance} is killed"));
        self.world.steps.bury(instance);
        for task in &self.processes[index].tasks {
            task.abort();
        }
        self.processes[index] = self.start(part, skew_ms);
        self.tally.crashes += 1;
    }

    fn something_breaks(&mut self) {
        let past = self.world.server.past();
        let what = self.random.random_range(0..6);
        let at = if past == 0 {
            0
        } else {
            self.random.random_range(0..past)
        };
        match what {
            0 => {
                self.world
                    .steps
                    .note(|| "Redis forgets its scripts".to_owned());
                self.world.server.flush_scripts();
            }
            1 if self.plan.broker_forgets => {
                self.world
                    .steps
                    .note(|| "the broker forgets everything".to_owned());
                self.world.book().messages.clear();
            }
            2 if self.plan.redis_forgets => {
                self.world.steps.note(|| "Redis is empty".to_owned());
                self.world.server.wipe();
                self.tally.losses += 1;
            }
            3 if self.plan.redis_forgets && past > 0 => {
                self.world
                    .steps
                    .note(|| format!("Redis is as it was {} writes ago", past - at));
                self.world.server.restart(at);
                self.tally.losses += 1;
            }
            4 if self.plan.redis_forgets && past > 0 => {
                let strays: Vec<Instance> = self.processes.iter().map(|it| it.instance).collect();
                let strays: Vec<Instance> = strays
                    .into_iter()
                    .filter(|_| self.random.random())
                    .collect();
                self.world.steps.note(|| {
                    format!(
                        "a replica {} writes behind takes over, {strays:?} do not notice",
                        past - at
                    )
                });
                self.world.server.fail_over(at, &strays);
                self.tally.losses += 1;
            }
            5 => self.world.server.heal(),
            _ => {}
        }
    }

    async fn time_passes(&mut self) {
        let ms = match self.random.random_range(0..20) {
            0..12 => self.random.random_range(1..500),
            12..17 => self.random.random_range(500..12_000),
            17 | 18 => self.random.random_range(12_000..90_000),
            _ => self.random.random_range(90_000..1_200_000),
        };
        self.pass(ms).await;
    }

    async fn pass(&mut self, ms: u64) {
        self.world.steps.note(|| format!("{ms} ms pass"));
        self.world.steps.pass(i64::try_from(ms).unwrap_or(0));
        tokio::time::advance(Duration::from_millis(ms)).await;
    }

    /// Nothing breaks any more: everything that is under way is finished, and what was promised is kept.
    async fn wind_down(&mut self) -> Result<(), String> {
        self.world
            .steps
            .note(|| "nothing breaks any more".to_owned());
        self.world.server.heal();
        self.finish().await?;
        for turn in 0..WIND_DOWN_TURNS {
            self.deliver_all().await?;
            self.repeat_payments().await?;
            self.pass(6_000).await;
            self.sweep_now().await?;
            let quiet = turn > 3 && self.is_quiet();
            if quiet || turn % 10 == 9 {
                // Two audits, and a copy of something old in between.
                for _ in 0..2 {
                    self.pass(301_000).await;
                    self.duplicate();
                    self.deliver_all().await?;
                    self.sweep_now().await?;
                    self.sweep_now().await?;
                }
            }
            if quiet && self.is_quiet() {
                break;
            }
        }
        if self.plan.a_day_later {
            self.come_back_a_day_later().await?;
        }
        Ok(())
    }

    /// Everything that was done is delivered once more, when it is long over.
    async fn come_back_a_day_later(&mut self) -> Result<(), String> {
        self.pass(86_400_000).await;
        {
            let mut book = self.world.book();
            for body in book.done.clone() {
                book.post(body, false);
            }
        }
        self.deliver_all().await?;
        for _ in 0..4 {
            self.sweep_now().await?;
            self.pass(301_000).await;
        }
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        self.world.book().messages.is_empty() && check::at_rest(&self.world).is_ok()
    }

    /// Takes steps until nobody waits.
    async fn finish(&mut self) -> Result<(), String> {
        for _ in 0..20_000 {
            self.settle().await;
            self.checks.after_step(&self.world, &self.plan)?;
            let waiting = self.world.steps.waiting();
            if waiting.is_empty() {
                if self
                    .processes
                    .iter()
                    .all(|process| process.tasks.is_empty())
                {
                    return Ok(());
                }
                // Somebody waits for time to pass.
                self.pass(1_000).await;
                continue;
            }
            let id = waiting[self.random.random_range(0..waiting.len())];
            self.world.steps.take(id, Choice::Proceed);
            self.tally.steps += 1;
        }
        Err("processes never come to an end".to_owned())
    }

    async fn deliver_all(&mut self) -> Result<(), String> {
        let messages = self.world.book().messages.clone();
        for message in messages {
            let process = self.process(Part::Writer);
            self.spawn(process, |world, router| {
                actors::deliver(world, router, message)
            });
            self.finish().await?;
        }
        Ok(())
    }

    /// A buyer whose payment got no answer tries again.
    async fn repeat_payments(&mut self) -> Result<(), String> {
        let charged: Vec<_> = self.world.book().charged.iter().copied().collect();
        for order_id in charged {
            let order = self.world.store.state().orders.get(&order_id).cloned();
            let open = order.filter(|order| {
                order.payment.is_none()
                    && order.refund.is_none()
                    && order.state != OrderState::Rejected
            });
            if let Some(order) = open {
                let (process, user_id) = (self.process(Part::Till), order.user_id);
                self.spawn(process, |world, router| {
                    actors::pay(world, router, order_id, user_id)
                });
                self.finish().await?;
            }
        }
        Ok(())
    }

    async fn sweep_now(&mut self) -> Result<(), String> {
        let process = self.process(Part::Sweeper);
        self.spawn(process, actors::sweep);
        self.finish().await
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
