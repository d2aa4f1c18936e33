//! Lambda: functions, their instances, and the Runtime API that instances speak
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).
//!
//! An instance is a process that works on one invocation at a time. There are as many as are needed at once, up to a
//! maximum; who comes beyond it is throttled. Between two invocations an instance may be stopped, as Lambda freezes it.

mod instance;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use r#break::guard::Guard;
use bytes::Bytes;
use tokio::time::Instant;

pub use instance::Instance;

/// What a function is made of.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Its name.
    pub name: String,
    /// `bootstrap` of its zip.
    pub binary: PathBuf,
    /// What it is told, besides what Lambda tells every function.
    pub environment: BTreeMap<String, String>,
    /// Memory that it is told of.
    pub memory_mb: u32,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// The most instances at a time.
    pub instances_max: usize,
    /// Whether an instance is stopped between two invocations.
    pub freezes: bool,
    /// Where its output goes.
    pub log: PathBuf,
}

/// Why an invocation has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// All instances there may be are busy.
    #[error("throttled")]
    Throttled,
    /// The function said that it failed.
    #[error("the function failed: {0}")]
    Error(String),
    /// It took longer than it may; the instance was killed.
    #[error("timed out")]
    TimedOut,
    /// The instance ended, before it was ready or in the midst of it.
    #[error("the instance ended")]
    Ended,
}

/// What was counted of a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Invocations that were begun.
    pub invocations: u32,
    /// Instances that were started.
    pub starts: u32,
    /// Invocations that were refused, since all instances were busy.
    pub throttled: u32,
    /// Invocations that took too long.
    pub timed_out: u32,
    /// Instances that ended by themselves.
    pub ended: u32,
    /// Invocations of which the function said that they failed.
    pub errors: u32,
    /// How long invocations took together, each in whole milliseconds, as it is paid for; starts are not among it.
    pub busy: Duration,
}

/// A function.
pub struct Function {
    /// What it is made of.
    pub recipe: Recipe,
    guard: Arc<Guard>,
    pool: Mutex<Pool>,
    counts: Mutex<Counts>,
    numbers: AtomicU32,
    /// Variables of the next instance alone.
    once: Mutex<BTreeMap<String, String>>,
    silent: AtomicBool,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Arc<Instance>>,
    all: usize,
}

impl Function {
    /// Nothing runs yet.
    #[must_use]
    pub fn new(recipe: Recipe, guard: Arc<Guard>) -> Arc<Self> {
        Arc::new(Self {
            recipe,
            guard,
            pool: Mutex::default(),
            counts: Mutex::default(),
            numbers: AtomicU32::new(0),
            once: Mutex::default(),
            silent: AtomicBool::new(false),
        })
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *lock(&self.counts)
    }

    /// Ends the instances that are idle, so that the next invocations start new ones. The first of these has this variable.
    pub fn start_anew_with(&self, name: &str, value: &str) {
        lock(&self.once).insert(name.to_owned(), value.to_owned());
        self.end_idle();
    }

    /// Ends the instances that are idle.
    pub fn end_idle(&self) {
        let mut pool = lock(&self.pool);
        let idle = std::mem::take(&mut pool.idle);
        pool.all -= idle.len();
        drop(pool);
        for instance in idle {
            instance.kill();
        }
    }

    /// The ids of the processes that are idle.
    #[must_use]
    pub fn idle(&self) -> Vec<u32> {
        let pool = lock(&self.pool);
        pool.idle.iter().map(|instance| instance.id()).collect()
    }

    /// From now on the answers of its instances are lost on their way (or not any more): invocations time out.
    pub fn lose_answers(&self, lost: bool) {
        self.silent.store(lost, Ordering::Relaxed);
    }

    /// Has an instance work on an event. Goes on to the end even if nobody waits for it any more.
    pub async fn invoke(self: &Arc<Self>, event: Bytes) -> Result<Bytes, Failure> {
        let function = Arc::clone(self);
        let invocation = tokio::spawn(async move { function.work(event).await });
        invocation.await.unwrap_or(Err(Failure::Ended))
    }

    async fn work(&self, event: Bytes) -> Result<Bytes, Failure> {
        let instance = match self.take() {
            Some(Ok(idle)) => idle,
            Some(Err(number)) => match self.start(number).await {
                Ok(started) => started,
                Err(failure) => {
                    lock(&self.pool).all -= 1;
                    return Err(self.count(failure));
                }
            },
            None => return Err(self.count(Failure::Throttled)),
        };
        lock(&self.counts).invocations += 1;
        let timeout = self.recipe.timeout;
        let begun_at = Instant::now();
        let mut result = instance.invoke(event, timeout).await;
        let took_ms = begun_at.elapsed().as_micros().div_ceil(1000);
        lock(&self.counts).busy +=
            Duration::from_millis(u64::try_from(took_ms).unwrap_or(u64::MAX));
        if self.silent.load(Ordering::Relaxed) {
            tokio::time::sleep(timeout).await;
            result = Err(Failure::TimedOut);
        }
        if matches!(result, Err(Failure::TimedOut | Failure::Ended)) {
            instance.kill();
            lock(&self.pool).all -= 1;
        } else {
            lock(&self.pool).idle.push(instance);
        }
        result.map_err(|failure| self.count(failure))
    }

    /// An idle instance, or the number of one that may be started.
    fn take(&self) -> Option<Result<Arc<Instance>, u32>> {
        let mut pool = lock(&self.pool);
        while let Some(instance) = pool.idle.pop() {
            if instance.lives() {
                return Some(Ok(instance));
            }
            pool.all -= 1;
            lock(&self.counts).ended += 1;
        }
        if pool.all >= self.recipe.instances_max {
            return None;
        }
        pool.all += 1;
        Some(Err(self.numbers.fetch_add(1, Ordering::Relaxed)))
    }

    async fn start(&self, number: u32) -> Result<Arc<Instance>, Failure> {
        lock(&self.counts).starts += 1;
        let once = std::mem::take(&mut *lock(&self.once));
        let started = Instance::start(&self.recipe, once, number, Arc::clone(&self.guard)).await;
        started.map_err(|error| {
            tracing::error!(function = self.recipe.name, "{error:#}");
            Failure::Ended
        })
    }

    fn count(&self, failure: Failure) -> Failure {
        let mut counts = lock(&self.counts);
        match &failure {
            Failure::Throttled => counts.throttled += 1,
            Failure::Error(_) => counts.errors += 1,
            Failure::TimedOut => counts.timed_out += 1,
            Failure::Ended => counts.ended += 1,
        }
        failure
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
