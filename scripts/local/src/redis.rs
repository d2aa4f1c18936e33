//! The Redis of a data directory: a real `redis-server` as a child, on a Unix socket, with an append-only file.
//!
//! The child must not outlive us, however we end, and must not end before us:
//! - It runs in a process group of its own, so that a Ctrl-C at the terminal reaches us and not it.
//! - A shell between us and it waits for the end of a pipe that only we hold open. When we are killed, the pipe closes and
//!   the shell ends Redis by SIGTERM, upon which Redis writes what it has and exits.
//! - Should the shell be killed too, the next start finds the server by its socket (or its process id) and ends it first:
//!   two servers on one append-only file would ruin it.

mod leftover;
mod version;
mod wire;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{
    process::{Child, ChildStdin, Command},
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};
use url::Url;

use crate::data::Data;

/// Runs `redis-server` with our arguments, passes its exit status on, and ends it when standard input closes.
const WATCH: &str = r#"
exec 3<&0
redis-server "$@" 3<&- </dev/null &
server=$!
{ read -r _ <&3; kill -TERM "$server"; } 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"#;

/// How long a server may read its append-only file at its start.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long a server may take to write what it has and exit.
const GONE_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
/// Between the end of a server that was well and the next start; doubled from start to start of one that is not.
const START_AGAIN_AFTER: Duration = Duration::from_millis(50);
const START_AGAIN_AFTER_MAX: Duration = Duration::from_secs(10);
/// A server that has run for this long was well.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// A running server, started again should it end by itself. Dropping this ends it too, without waiting for it.
#[derive(Debug)]
pub struct Redis {
    socket: PathBuf,
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<anyhow::Result<()>>,
}

/// The server's process: the shell that watches over it, and the pipe that the shell waits on.
struct Server {
    dir: PathBuf,
    socket: PathBuf,
    /// What the log already said when this server was started, in bytes.
    log_start: u64,
    shell: Child,
    _alive: Option<ChildStdin>,
}

impl Redis {
    /// Ends what an earlier run has left behind, starts the server, and waits until it answers.
    pub async fn start(data: &Data) -> anyhow::Result<Self> {
        version::check().await?;
        Self::end_leftover(data).await?;
        let (dir, socket) = places(data)?;
        let server = Server::start(dir, socket.clone()).await?;
        let (stop, stopped) = oneshot::channel();
        let keeper = tokio::spawn(keep(server, stopped));
        Ok(Self {
            socket,
            stop,
            keeper,
        })
    }

    /// Ends what an earlier run has left behind.
    pub async fn end_leftover(data: &Data) -> anyhow::Result<()> {
        let (dir, socket) = places(data)?;
        leftover::end(&dir, &socket).await
    }

    /// Its address, as `STOCK_URL` takes it.
    pub fn url(&self) -> anyhow::Result<Url> {
        let file = Url::from_file_path(&self.socket);
        let file = file.map_err(|()| anyhow::anyhow!("the socket's path is not absolute"))?;
        Ok(file.as_str().replacen("file:", "redis+unix:", 1).parse()?)
    }

    /// Lets the server write what it has and exit, and waits for it.
    pub async fn stop(self) -> anyhow::Result<()> {
        // Whoever has ended already needs no signal.
        let _ = self.stop.send(());
        self.keeper.await?
    }
}

fn places(data: &Data) -> anyhow::Result<(PathBuf, PathBuf)> {
    Ok((data.dir("redis")?, data.socket("redis/redis.sock")?))
}

/// Starts the server again whenever it ends by itself, until told to stop. What it lost the sweeper loads again.
async fn keep(mut server: Server, mut stopped: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let mut wait = START_AGAIN_AFTER;
    loop {
        let since = Instant::now();
        let ended = tokio::select! {
            ended = server.shell.wait() => ended,
            _ = &mut stopped => return server.stop().await,
        };
        let ended = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        tracing::error!(ended, "redis-server ended by itself");
        if since.elapsed() >= WELL_AFTER {
            wait = START_AGAIN_AFTER;
        }
        let Server { dir, socket, .. } = server;
        server = tokio::select! {
            again = start_again(&dir, &socket, &mut wait) => again,
            // The start that was under way is dropped, and the shell ends its server.
            _ = &mut stopped => return leftover::end(&dir, &socket).await,
        };
    }
}

/// Tries until the server runs, waiting longer from try to try.
async fn start_again(dir: &Path, socket: &Path, wait: &mut Duration) -> Server {
    loop {
        sleep(*wait).await;
        *wait = (*wait * 2).min(START_AGAIN_AFTER_MAX);
        let started = async {
            leftover::end(dir, socket).await?;
            Server::start(dir.to_owned(), socket.to_owned()).await
        };
        match started.await {
            Ok(server) => return server,
            Err(error) => {
                let (error, wait_secs) = (format!("{error:#}"), wait.as_secs_f64());
                tracing::error!(error, wait_secs, "redis-server does not start again");
            }
        }
    }
}

impl Server {
    async fn start(dir: PathBuf, socket: PathBuf) -> anyhow::Result<Self> {
        let log_start = fs::metadata(log(&dir)).map_or(0, |log| log.len());
        let mut shell = spawn(&dir, &socket)?;
        let alive = shell.stdin.take();
        let mut server = Self {
            dir,
            socket,
            log_start,
            shell,
            _alive: alive,
        };
        server.ready().await?;
        Ok(server)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + READY_WITHIN;
        while Instant::now() < until {
            if wire::ask(&self.socket, "PING")
                .await
                .is_ok_and(|answer| answer == "+PONG")
            {
                return Ok(());
            }
            if let Some(status) = self.shell.try_wait()? {
                bail!("redis-server ended with {status}: {}", self.last_words());
            }
            sleep(POLL).await;
        }
        bail!("redis-server does not answer: {}", self.last_words())
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        // The answer to a SHUTDOWN that works is the end of the connection.
        let _ = wire::ask(&self.socket, "SHUTDOWN").await;
        let ended = tokio::time::timeout(GONE_WITHIN, self.shell.wait()).await;
        let status = ended.context("redis-server does not end")??;
        if status.success() {
            Ok(())
        } else {
            bail!("redis-server ended with {status}")
        }
    }

    /// What the server said last, as it knows best why it ended.
    fn last_words(&self) -> String {
        let log = fs::read(log(&self.dir)).unwrap_or_default();
        let start = usize::try_from(self.log_start).unwrap_or(usize::MAX);
        let said = String::from_utf8_lossy(log.get(start..).unwrap_or_default());
        let line = said.lines().last().unwrap_or("its log says nothing");
        line.to_owned()
    }
}

fn log(dir: &Path) -> PathBuf {
    dir.join("redis.log")
}

fn spawn(dir: &Path, socket: &Path) -> anyhow::Result<Child> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(WATCH).arg("redis-server");
    command
        .arg("--dir")
        .arg(dir)
        .arg("--unixsocket")
        .arg(socket);
    command.arg("--pidfile").arg(dir.join("redis.pid"));
    command.arg("--logfile").arg(log(dir));
    let settings = [
        ["--port", "0"],
        ["--unixsocketperm", "600"],
        ["--appendonly", "yes"],
        ["--appendfsync", "everysec"],
        ["--maxmemory", "1gb"],
        ["--maxmemory-policy", "noeviction"],
        ["--save", ""],
        ["--daemonize", "no"],
    ];
    command.args(settings.iter().flatten());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.process_group(0);
    command.spawn().context("cannot start sh for redis-server")
}

#[cfg(test)]
mod tests;
