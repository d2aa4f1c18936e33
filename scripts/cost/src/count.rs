//! What was done: counted around a race, or around runs of a timer.

use std::{collections::BTreeMap, time::Duration};

use emulate::cloud::Cloud;

/// What a function did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work {
    pub(crate) invocations: f64,
    pub(crate) gb_seconds: f64,
    pub(crate) log_gb: f64,
    pub(crate) reads: f64,
    pub(crate) writes: f64,
    pub(crate) index_writes: f64,
}

/// What all did, and what they share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    pub(crate) functions: BTreeMap<String, Work>,
    /// Commands of Redis, or KiB in and out if they are more.
    pub(crate) ecpu: f64,
    /// Messages sent to queues.
    pub(crate) sent: f64,
    /// Batches that were received and deleted.
    pub(crate) batches: f64,
}

/// Where the counters stood.
pub(crate) struct Mark {
    functions: BTreeMap<String, (u32, Duration, u64)>,
    commands: f64,
    kib: f64,
    sent: u64,
}

impl Mark {
    /// Where the counters stand now. Costs of the store and batches begin anew.
    pub(crate) async fn new(cloud: &Cloud) -> anyhow::Result<Self> {
        let _ = (cloud.tables.costs(), cloud.writing.batches());
        let (commands, kib) = redis(cloud).await?;
        let functions = cloud.functions.iter().map(|(name, function)| {
            let counts = function.counts();
            (
                name.clone(),
                (counts.invocations, counts.busy, logged(function)),
            )
        });
        Ok(Self {
            functions: functions.collect(),
            commands,
            kib,
            sent: cloud.sqs.requests(),
        })
    }

    /// What was done since then.
    pub(crate) async fn counted(self, cloud: &Cloud) -> anyhow::Result<Counted> {
        let (commands, kib) = redis(cloud).await?;
        let mut counted = Counted {
            ecpu: (commands - self.commands).max(kib - self.kib),
            sent: number(cloud.sqs.requests() - self.sent),
            batches: number(u64::try_from(cloud.writing.batches().len())?),
            ..Counted::default()
        };
        for (name, function) in &cloud.functions {
            let (invocations, busy, bytes) = self.functions[name];
            let counts = function.counts();
            let memory_gb = f64::from(function.recipe.memory_mb) / 1024.0;
            let work = counted.functions.entry(name.clone()).or_default();
            work.invocations = f64::from(counts.invocations - invocations);
            work.gb_seconds = memory_gb * counts.busy.saturating_sub(busy).as_secs_f64();
            work.log_gb = number(logged(function) - bytes) / 1e9;
        }
        for ((name, _), cost) in cloud.tables.costs() {
            let work = counted.functions.entry(name).or_default();
            work.reads += cost.reads;
            work.writes += cost.writes;
            work.index_writes += cost.index_writes;
        }
        Ok(counted)
    }
}

impl Counted {
    /// What these functions did together.
    pub(crate) fn of(&self, names: &[&str]) -> Work {
        let mut sum = Work::default();
        let works = names.iter().filter_map(|name| self.functions.get(*name));
        for work in works {
            sum.invocations += work.invocations;
            sum.gb_seconds += work.gb_seconds;
            sum.log_gb += work.log_gb;
            sum.reads += work.reads;
            sum.writes += work.writes;
            sum.index_writes += work.index_writes;
        }
        sum
    }
}

/// Commands so far, and KiB in and out.
async fn redis(cloud: &Cloud) -> anyhow::Result<(f64, f64)> {
    let info: String = cloud.redis.command(&["INFO", "stats"]).await?;
    let value = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(it, _)| *it == name);
        let found = found.and_then(|(_, value)| value.trim().parse::<f64>().ok());
        found.unwrap_or_default()
    };
    let kib = (value("total_net_input_bytes") + value("total_net_output_bytes")) / 1024.0;
    Ok((value("total_commands_processed"), kib))
}

fn logged(function: &emulate::lambda::Function) -> u64 {
    std::fs::metadata(&function.recipe.log).map_or(0, |file| file.len())
}

/// No count here is beyond what an `f64` holds exactly.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}
