//! One function as a process of its own, which is started again whenever it ends.

use std::{
    fs::OpenOptions,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
pub use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};

use crate::guard::Guard;

/// No process takes so long to start, to end, or to come where it dies.
pub const DEADLINE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(10);
/// After an end that nobody asked for.
const AFTER_A_FAILED_START: Duration = Duration::from_millis(200);

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
    pub environment: Vec<(&'static str, String)>,
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
}

impl Service {
    /// Starts it; it is ready a little later.
    #[must_use]
    pub fn start(recipe: Recipe, guard: Arc<Guard>) -> Self {
        let (lives, life) = watch::channel(Life::default());
        let (signals, asked) = mpsc::unbounded_channel();
        let failpoint = Arc::<Mutex<Option<String>>>::default();
        let clock_offset_ms = Arc::<AtomicI64>::default();
        let service = Self {
            name: recipe.name,
            port: recipe.port,
            life,
            signals,
            failpoint: Arc::clone(&failpoint),
            clock_offset_ms: Arc::clone(&clock_offset_ms),
        };
        let keeper = Keeper {
            recipe,
            guard,
            lives,
            failpoint,
            clock_offset_ms,
        };
        tokio::spawn(keeper.keep(asked));
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

struct Keeper {
    recipe: Recipe,
    guard: Arc<Guard>,
    lives: watch::Sender<Life>,
    failpoint: Arc<Mutex<Option<String>>>,
    clock_offset_ms: Arc<AtomicI64>,
}

/// How a process ended, and what it was told to do.
struct End {
    status: ExitStatus,
    was_armed: bool,
    was_told: Vec<Signal>,
}

impl Keeper {
    async fn keep(self, mut asked: mpsc::UnboundedReceiver<Signal>) {
        loop {
            let ended = self.run(&mut asked).await;
            match ended {
                Ok(Some(end)) => self.note_end(&end).await,
                // Whoever kept the service is gone, and with it the process.
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(function = self.recipe.name, "{error:#}");
                    self.lives.send_modify(|life| life.failed += 1);
                    sleep(AFTER_A_FAILED_START).await;
                }
            }
        }
    }

    /// One process, from its start to its end.
    async fn run(
        &self,
        asked: &mut mpsc::UnboundedReceiver<Signal>,
    ) -> anyhow::Result<Option<End>> {
        let failpoint = lock(&self.failpoint).take();
        let was_armed = failpoint.is_some();
        let mut was_told = Vec::new();
        let mut child = self.spawn(failpoint)?;
        let id = child.id().context("it has ended at once")?;
        self.guard.watch(id);
        self.lives.send_modify(|life| {
            life.starts += 1;
            life.armed = was_armed;
        });
        let mut ready = Box::pin(self.until_ready());
        let mut is_ready = false;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status?,
                () = &mut ready, if !is_ready => {
                    is_ready = true;
                    self.lives.send_modify(|life| life.ready = true);
                }
                signal = asked.recv() => match signal {
                    None => return Ok(None),
                    Some(signal) => {
                        was_told.push(signal);
                        self.send(&child, signal).await?;
                    }
                },
            }
        };
        self.guard.forget(id);
        Ok(Some(End {
            status,
            was_armed,
            was_told,
        }))
    }

    fn spawn(&self, failpoint: Option<String>) -> anyhow::Result<Child> {
        let Recipe {
            name,
            binary,
            arguments,
            environment,
            port,
            log,
            ..
        } = &self.recipe;
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(binary);
        command.args(arguments).env_clear();
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.env("PORT", port.to_string());
        if let Some(failpoint) = failpoint {
            command.env("FAILPOINT", failpoint);
        }
        let offset_ms = self.clock_offset_ms.load(Ordering::Relaxed);
        if offset_ms != 0 {
            command.env("CLOCK_OFFSET_MS", offset_ms.to_string());
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?);
        command.stderr(log).process_group(0).kill_on_drop(true);
        let child = command.spawn();
        child.with_context(|| format!("cannot start {name} from {}", binary.display()))
    }

    async fn send(&self, child: &Child, signal: Signal) -> anyhow::Result<()> {
        // Without an id it was waited for, and there is nobody to send it to.
        let Some(id) = child.id() else {
            return Ok(());
        };
        let id = rustix::process::Pid::from_raw(i32::try_from(id)?).context("process 0")?;
        rustix::process::kill_process(id, signal)?;
        if signal == Signal::KILL {
            self.lives.send_modify(|life| life.ready = false);
        } else if signal == Signal::TERM {
            let unready = self.says_unready().await;
            self.lives.send_modify(|life| {
                life.ready = false;
                life.unready += u32::from(unready);
            });
        }
        Ok(())
    }

    /// Whether it says that it is not ready while it still answers, as whoever sends it requests would ask.
    async fn says_unready(&self) -> bool {
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until {
            match health(self.recipe.port).await {
                Ok(200) => sleep(POLL).await,
                Ok(status) => return status == 503,
                Err(_) => return false,
            }
        }
        false
    }

    async fn until_ready(&self) {
        loop {
            let ready = if self.recipe.has_health {
                health(self.recipe.port)
                    .await
                    .is_ok_and(|status| status == 200)
            } else {
                TcpStream::connect(("127.0.0.1", self.recipe.port))
                    .await
                    .is_ok()
            };
            if ready {
                return;
            }
            sleep(POLL).await;
        }
    }

    async fn note_end(&self, end: &End) {
        let signal = end.status.signal().and_then(Signal::from_named_raw);
        let killed = signal == Some(Signal::KILL) && end.was_told.contains(&Signal::KILL);
        let aborted = signal == Some(Signal::ABORT) && end.was_armed;
        let drained = end.status.success() && end.was_told.contains(&Signal::TERM);
        let failed = !(killed || aborted || drained);
        self.lives.send_modify(|life| {
            life.ready = false;
            life.killed += u32::from(killed);
            life.aborted += u32::from(aborted);
            life.drained += u32::from(drained);
            life.failed += u32::from(failed);
        });
        if failed {
            tracing::error!(function = self.recipe.name, status = %end.status, "it ended by itself");
            sleep(AFTER_A_FAILED_START).await;
        }
    }
}

/// The status of `GET /health/ready`.
async fn health(port: u16) -> anyhow::Result<u16> {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let request = b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).context("no status")?.parse()?;
        anyhow::Ok(status)
    };
    timeout(Duration::from_secs(1), ask).await?
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
