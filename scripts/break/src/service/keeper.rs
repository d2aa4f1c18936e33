//! Keeps one process running, and notes how each of its lives ends.

use std::{
    fs::OpenOptions,
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};

use super::{Life, Recipe, Signal, lock};
use crate::guard::Guard;

const POLL: Duration = Duration::from_millis(10);
/// After an end that nobody asked for.
const AFTER_A_FAILED_START: Duration = Duration::from_millis(200);

pub(super) struct Keeper {
    pub(super) recipe: Recipe,
    pub(super) guard: Arc<Guard>,
    pub(super) lives: watch::Sender<Life>,
    pub(super) failpoint: Arc<Mutex<Option<String>>>,
    pub(super) clock_offset_ms: Arc<AtomicI64>,
}

/// How a process ended, and what it was told to do.
struct End {
    status: ExitStatus,
    was_armed: bool,
    was_told: Vec<Signal>,
}

impl Keeper {
    pub(super) async fn keep(
        self,
        mut asked: mpsc::UnboundedReceiver<Signal>,
        wanted: &mut watch::Receiver<bool>,
    ) {
        // An error says that whoever kept the service is gone.
        while wanted.wait_for(|wanted| *wanted).await.is_ok() {
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
            life.id = id;
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
            directory,
            port,
            log,
            ..
        } = &self.recipe;
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(binary);
        command.args(arguments).current_dir(directory).env_clear();
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
