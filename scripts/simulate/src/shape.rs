//! Shapes: plans that look at one fault closely. Each row of the list of faults that a simulation can test has one.

use std::time::Duration;

use clap::ValueEnum;

use crate::{mutation::Mutation, plan::Plan, steps::At, world::Part};

/// How Redis loses data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It comes back as it was some writes ago.
    Older,
    /// It comes back empty.
    Wiped,
    /// A replica that lags takes over, while some go on with the old primary.
    Failover,
}

/// Which faults a schedule has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Shape {
    /// All that the seed drew.
    #[default]
    Any,
    /// None.
    Calm,
    /// `spike` dies.
    SpikeDies,
    /// Nobody knows what became of publishes.
    LostPublishes,
    /// Events come again and again, a day later too.
    Copies,
    /// Events wait while their orders are asked for.
    Late,
    /// Events come that nobody can write.
    Poison,
    /// The store takes a part of each batch.
    Throttled,
    /// `order-writer` dies.
    WriterDies,
    /// Redis comes back as it was.
    OlderRedis,
    /// Redis comes back empty.
    EmptyRedis,
    /// Redis fails over to a replica that lags.
    Failover,
    /// Many find Redis empty at once.
    Loaders,
    /// The store fails, and nothing else does.
    StoreFails,
    /// Clocks are as far apart as they may be.
    ClocksApart,
    /// Sweepers overlap and die.
    SweepersDie,
    /// Orders are cancelled and paid for again and again.
    Impatient,
    /// Whoever takes payments dies.
    PayersDie,
    /// Stock is raised by an admin who dies.
    Raises,
    /// Stock is lowered and raised.
    Lowers,
    /// Start, end and rules are changed while the sale runs, by an admin who dies.
    Rewrites,
    /// Spikes are deleted while they are loaded, and Redis comes back empty.
    Deletes,
    /// The payment provider fails.
    ProviderFails,
}

impl Shape {
    /// Where this defect shows itself most often; everything if nothing is broken on purpose.
    #[must_use]
    pub fn of(mutation: Option<Mutation>) -> Self {
        mutation.map_or(Self::Any, Mutation::shape)
    }

    /// Makes a plan look at this fault.
    pub fn apply(self, plan: &mut Plan) {
        if self == Self::Any {
            return;
        }
        calm(plan);
        match self {
            Self::Any | Self::Calm => {}
            Self::SpikeDies => kill(plan, Part::Spike),
            Self::WriterDies => kill(plan, Part::Writer),
            Self::SweepersDie => {
                kill(plan, Part::Sweeper);
                plan.sweeps_percent = 60;
            }
            Self::LostPublishes => lose(plan, At::Broker, 300),
            Self::StoreFails => lose(plan, At::Store, 300),
            Self::Throttled => {
                lose(plan, At::Store, 150);
                plan.deliveries = 10;
            }
            Self::Copies => {
                plan.copies_percent = 90;
                plan.a_day_later = true;
            }
            Self::Late => plan.impatience_percent = 40,
            Self::Impatient => {
                plan.impatience_percent = 60;
                plan.copies_percent = 40;
            }
            Self::Poison => plan.poison = true,
            Self::OlderRedis => forget(plan, Loss::Older),
            Self::EmptyRedis => forget(plan, Loss::Wiped),
            Self::Failover => forget(plan, Loss::Failover),
            Self::Loaders => {
                forget(plan, Loss::Wiped);
                plan.users = crate::plan::USERS;
            }
            Self::PayersDie => {
                kill(plan, Part::Till);
                plan.impatience_percent = 40;
                for spike in &mut plan.spikes {
                    spike.settings.pay_within_secs = 30;
                }
            }
            Self::ClocksApart => plan.clocks_apart = true,
            Self::Raises => {
                kill(plan, Part::Admin);
                (plan.admin, plan.lowers) = (true, false);
            }
            Self::Lowers => (plan.admin, plan.lowers) = (true, true),
            Self::Rewrites => {
                kill(plan, Part::Admin);
                (plan.admin, plan.lowers, plan.rewrites) = (true, false, true);
            }
            Self::Deletes => {
                forget(plan, Loss::Wiped);
                (plan.admin, plan.lowers, plan.deletes) = (true, false, true);
                for spike in &mut plan.spikes {
                    spike.settings.starts_at = spike.settings.starts_at + BEFORE_THE_START;
                }
            }
            Self::ProviderFails => {
                lose(plan, At::Payments, 400);
                plan.impatience_percent = 40;
            }
        }
    }
}

/// Time to delete a spike in.
const BEFORE_THE_START: Duration = Duration::from_mins(1);

fn calm(plan: &mut Plan) {
    plan.redis_forgets = false;
    plan.broker_forgets = false;
    plan.crashes = false;
    plan.losses_per_mille = 0;
    plan.poison = false;
    plan.lags = false;
    plan.rewrites = false;
    plan.deletes = false;
}

fn kill(plan: &mut Plan, victim: Part) {
    plan.crashes = true;
    plan.victim = Some(victim);
}

fn lose(plan: &mut Plan, at: At, per_mille: u32) {
    plan.losses_per_mille = per_mille;
    plan.losses_at = Some(at);
}

fn forget(plan: &mut Plan, loss: Loss) {
    plan.redis_forgets = true;
    plan.loss = Some(loss);
    plan.steps = 360;
}
