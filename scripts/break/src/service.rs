//! One function as a process of its own, which is started again whenever it ends.

mod keeper;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
pub use rustix::process::Signal;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use keeper::Keeper;

use crate::guard::Guard;

/// No process takes so long to start, to end, or to come where it dies.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// What is started.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The function.
    pub name: &'static str,
    /// Its binary.
    pub binary: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment, `PORT` apart.
    pub environment: Vec<(String, String)>,
    /// Its working directory.
    pub directory: PathBuf,
    /// Whether it runs only from a wake to the next rest.
    pub is_spare: bool,
    /// Where it listens.
    pub port: u16,
    /// Whether it tells by `GET /health/ready` that it is ready; else a connection says so.
    pub has_health: bool,
    /// Where its output goes.
    pub log: PathBuf,
}

/// How a process fares.
#[derive(Debug, Clone, Copy, Default)]
pub struct Life {
    /// The process' id, once it has one.
    pub id: u32,
    /// Whether requests may be sent to it.
    pub ready: bool,
    /// How often it was started.
    pub starts: u32,
    /// How often it died at a failpoint.
    pub aborted: u32,
    /// How often it was killed.
    pub killed: u32,
    /// How often it ended with success after a SIGTERM.
    pub drained: u32,
    /// How often it ended in a way that nobody asked for: with an error, by a signal that we did not send, with success and
    /// no SIGTERM, or by aborting at no failpoint.
    pub failed: u32,
    /// Whether it will die at a failpoint.
    pub armed: bool,
    /// How often it was seen to say after a SIGTERM that it is not ready, while it still answered.
    pub unready: u32,
}

/// A process that is kept running.
#[derive(Debug, Clone)]
pub struct Service {
    /// The function.
    pub name: &'static str,
    /// Where it listens.
    pub port: u16,
    life: watch::Receiver<Life>,
    signals: mpsc::UnboundedSender<Signal>,
    failpoint: Arc<Mutex<Option<String>>>,
    clock_offset_ms: Arc<AtomicI64>,
    is_spare: bool,
    /// Whether it is to run.
    wanted: Arc<watch::Sender<bool>>,
}

impl Service {
    /// Starts it; it is ready a little later.
    #[must_use]
    pub fn start(recipe: Recipe, guard: Arc<Guard>) -> Self {
        let (lives, life) = watch::channel(Life::default());
        let (signals, asked) = mpsc::unbounded_channel();
        let wanted = watch::Sender::new(!recipe.is_spare);
        let mut wake = wanted.subscribe();
        let failpoint = Arc::<Mutex<Option<String>>>::default();
        let clock_offset_ms = Arc::<AtomicI64>::default();
        let service = Self {
            name: recipe.name,
            port: recipe.port,
            life,
            signals,
            failpoint: Arc::clone(&failpoint),
            clock_offset_ms: Arc::clone(&clock_offset_ms),
            is_spare: recipe.is_spare,
            wanted: Arc::new(wanted),
        };
        let keeper = Keeper {
            recipe,
            guard,
            lives,
            failpoint,
            clock_offset_ms,
        };
        tokio::spawn(async move { keeper.keep(asked, &mut wake).await });
        service
    }

    /// How it fares now.
    #[must_use]
    pub fn life(&self) -> Life {
        *self.life.borrow()
    }

    /// Sends a signal to the process that runs now, if one does.
    pub fn signal(&self, signal: Signal) {
        // A keeper that is gone has no process.
        let _ = self.signals.send(signal);
    }

    /// Waits until its life is as asked for.
    pub async fn until(
        &self,
        what: &str,
        is: impl FnMut(&Life) -> bool + Send,
    ) -> anyhow::Result<Life> {
        let mut life = self.life.clone();
        let found = timeout(DEADLINE, life.wait_for(is)).await;
        let found = found.with_context(|| format!("{} never {what}", self.name))?;
        Ok(*found.with_context(|| format!("{} is not kept any more", self.name))?)
    }

    /// Waits until requests may be sent to it.
    pub async fn ready(&self) -> anyhow::Result<()> {
        self.until("is ready", |life| life.ready).await.map(drop)
    }

    /// Takes it away until it is woken, as an autoscaler does that goes to zero.
    pub async fn to_zero(&self) -> anyhow::Result<()> {
        self.ready().await?;
        let drained = self.life().drained;
        self.wanted.send_replace(false);
        self.signal(Signal::TERM);
        let gone = |life: &Life| life.drained > drained;
        self.until("ends with success", gone).await.map(drop)
    }

    /// Starts it if it was taken away; it is ready a little later.
    pub fn wake(&self) {
        self.wanted
            .send_if_modified(|wanted| !std::mem::replace(wanted, true));
    }

    /// As it was at first: running, or away if it is a spare.
    pub async fn rest(&self) -> anyhow::Result<()> {
        if !self.is_spare {
            self.wake();
            return self.ready().await;
        }
        if *self.wanted.borrow() {
            self.to_zero().await?;
        }
        Ok(())
    }

    /// Kills it with SIGKILL and waits until it runs again.
    pub async fn kill(&self) -> anyhow::Result<()> {
        let killed = self.life().killed;
        self.signal(Signal::KILL);
        let again = |life: &Life| life.killed > killed && life.ready;
        self.until("runs again", again).await.map(drop)
    }

    /// Replaces it by a process that dies at this failpoint, at its `passing`th passing.
    pub async fn arm(&self, failpoint: &str, passing: u32) -> anyhow::Result<()> {
        *lock(&self.failpoint) = Some(format!("{failpoint}:{passing}"));
        self.kill().await
    }

    /// Replaces it by a process whose clock is so many milliseconds ahead, until this is called again.
    pub async fn set_clock(&self, offset_ms: i64) -> anyhow::Result<()> {
        if self.clock_offset_ms.swap(offset_ms, Ordering::Relaxed) == offset_ms {
            return Ok(());
        }
        self.kill().await
    }

    /// Waits until it has died at a failpoint once more than `before`, and runs again.
    pub async fn died(&self, before: u32) -> anyhow::Result<()> {
        let again = |life: &Life| life.aborted > before && life.ready;
        self.until("died at its failpoint", again).await.map(drop)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
