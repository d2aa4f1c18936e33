//! What happens in a schedule: what people do, and what breaks.

use std::time::Duration;

use domain::{OrderId, SpikeId, Timestamp, UserId};
use rand::RngExt;

use super::{Process, Schedule};
use crate::{
    actors::{self, Change},
    plan,
    shape::Loss,
    steps::Instance,
    world::Part,
};

/// What an admin changes besides the stock, the limit and pauses.
#[derive(Debug, Clone, Copy)]
enum Other {
    Start,
    End,
    Rules,
    Delete,
}

impl Schedule {
    pub(super) async fn something(&mut self) {
        if self.random.random_ratio(self.plan.sweeps_percent, 100) {
            return self.sweep();
        }
        if self.random.random_ratio(self.plan.impatience_percent, 100) {
            return self.somebody_is_impatient();
        }
        match self.random.random_range(0..84) {
            0..40 => self.somebody_buys(),
            40..62 => {
                for _ in 0..self.random.random_range(1..=self.plan.deliveries) {
                    self.deliver_some();
                }
            }
            62..66 if self.plan.admin => self.somebody_changes_the_sale(),
            66..70 if self.plan.crashes => self.crash(),
            70..75 => self.something_breaks(),
            75..78 if self.plan.lags => self.world.store.catch_up(),
            _ => self.time_passes().await,
        }
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
    pub(super) fn duplicate(&mut self) {
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
        let sweeps = |process: &Process| process.part == Part::Sweeper && !process.tasks.is_empty();
        if self.processes.iter().any(sweeps) {
            self.world.steps.saw("two sweeps at once");
        }
        if self.processes[process].tasks.len() < 2 {
            self.spawn(process, actors::sweep);
        }
    }

    /// An order that somebody may pay or cancel: a promised or a written one.
    fn somebodys_order(&mut self) -> Option<(OrderId, SpikeId, UserId)> {
        let book = self.world.book();
        let orders: Vec<_> = book
            .promised
            .iter()
            .map(|(id, (spike, user))| (*id, *spike, *user))
            .collect();
        (!orders.is_empty()).then(|| orders[self.random.random_range(0..orders.len())])
    }

    /// Somebody pays, cancels or looks.
    fn somebody_is_impatient(&mut self) {
        let Some((order_id, spike_id, user_id)) = self.somebodys_order() else {
            return;
        };
        let what = self.random.random_range(0..4);
        let part = if what < 2 { Part::Till } else { Part::Query };
        let process = self.process(part);
        match what {
            0 => self.spawn(process, |world, router| {
                actors::pay(world, router, order_id, user_id)
            }),
            1 => self.spawn(process, |world, router| {
                actors::cancel(world, router, order_id, user_id)
            }),
            2 => {
                let other = plan::user_id(self.random.random_range(0..self.plan.users));
                self.spawn(process, |world, router| {
                    actors::look(world, router, order_id, other)
                });
            }
            _ => {
                let must_be_there = !self.plan.redis_forgets;
                self.spawn(process, move |world, router| {
                    actors::look_for_mine(world, router, spike_id, user_id, must_be_there)
                });
            }
        }
    }

    fn somebody_changes_the_sale(&mut self) {
        let spike_id = self.spike_id();
        let drawn = self.plan.spikes.iter().find(|it| it.id == spike_id);
        let stock = drawn.map_or(1, |it| it.settings.stock);
        let lowest = if self.plan.lowers { 0 } else { stock + 1 };
        let mut others = Vec::new();
        if self.plan.rewrites {
            others.extend([Other::Start, Other::End, Other::Rules]);
        }
        if self.plan.deletes {
            others.extend([Other::Delete; 3]);
        }
        let change = match self.random.random_range(0..5 + others.len()) {
            other @ 5.. => self.another_change(spike_id, others[other - 5]),
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

    fn another_change(&mut self, spike_id: SpikeId, other: Other) -> Change {
        let now = Timestamp::from_millis(self.world.steps.now_ms());
        match other {
            Other::Start => {
                Change::Start(now + Duration::from_millis(self.random.random_range(0..10_000)))
            }
            Other::End => {
                let long = self.random.random_ratio(1, 2);
                let ms = if long {
                    1_400_000_000
                } else {
                    self.random.random_range(1..60_000)
                };
                Change::End(now + Duration::from_millis(ms))
            }
            Other::Rules => {
                let mut drawn = self.plan.spikes.iter();
                let drawn = drawn.find(|it| it.id == spike_id);
                // Whom a guarded sale refuses stays refused: I9 is looked at all the time.
                let mut rules = drawn.map_or_else(Vec::new, |it| it.settings.rules.clone());
                if rules.is_empty() && self.random.random() {
                    rules.push(plan::members_only());
                }
                if self.random.random() {
                    rules.push(plan::everybody());
                }
                Change::Rules(rules)
            }
            Other::Delete => Change::Delete,
        }
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
        let what = match self.plan.loss {
            Some(Loss::Wiped) => 2,
            Some(Loss::Older) => 3,
            Some(Loss::Failover) => 4 + self.random.random_range(0..2),
            None => self.random.random_range(0..6),
        };
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
}
