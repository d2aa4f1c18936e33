//! A real `redis-server`, whose data may be set back, wiped, or left behind by a primary.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use redis::{FromRedisValue, aio::MultiplexedConnection};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::guard::Guard;

const READY_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// A server on a directory of its own.
#[derive(Debug)]
pub struct Redis {
    /// Where it listens.
    pub port: u16,
    dir: PathBuf,
    guard: Arc<Guard>,
    child: Option<Child>,
}

/// How long each file of the append-only log was at some moment.
#[derive(Debug)]
pub struct Mark(Vec<(PathBuf, u64)>);

impl Redis {
    /// Starts a server on `port` that keeps its data in `dir`.
    pub async fn start(dir: &Path, port: u16, guard: Arc<Guard>) -> anyhow::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut redis = Self {
            port,
            dir: dir.to_owned(),
            guard,
            child: None,
        };
        redis.start_again().await?;
        Ok(redis)
    }

    /// Starts it on the data that is there.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "redis-server runs already");
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.arg("--dir").arg(&self.dir);
        let settings = [
            ["--port", port.as_str()],
            ["--bind", "127.0.0.1"],
            ["--logfile", "redis.log"],
            ["--appendonly", "yes"],
            ["--appendfsync", "everysec"],
            ["--auto-aof-rewrite-percentage", "0"],
            ["--maxmemory-policy", "noeviction"],
            ["--save", ""],
            ["--daemonize", "no"],
        ];
        command.args(settings.iter().flatten());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null()).process_group(0);
        let child = command.kill_on_drop(true).spawn();
        let child = child.context("cannot start redis-server")?;
        if let Some(id) = child.id() {
            self.guard.watch(id);
        }
        self.child = Some(child);
        let until = Instant::now() + READY_WITHIN;
        loop {
            match self.command::<String>(&["PING"]).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > until => {
                    return Err(error.context("redis-server does not answer"));
                }
                Err(_) => sleep(POLL).await,
            }
        }
    }

    /// Kills it with SIGKILL.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("redis-server does not run")?;
        let id = child.id();
        child.kill().await?;
        if let Some(id) = id {
            self.guard.forget(id);
        }
        Ok(())
    }

    /// What its log holds now.
    pub fn mark(&self) -> anyhow::Result<Mark> {
        let mut files = Vec::new();
        for file in self.files()? {
            let length = file.metadata()?.len();
            files.push((file, length));
        }
        Ok(Mark(files))
    }

    /// Sets a server that does not run back to what its log held then.
    pub fn set_back(&self, mark: &Mark) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "redis-server runs");
        for (file, length) in &mark.0 {
            let file = fs::OpenOptions::new().write(true).open(file)?;
            ensure!(file.metadata()?.len() >= *length, "the log was rewritten");
            file.set_len(*length)?;
        }
        Ok(())
    }

    /// Wipes a server that does not run.
    pub fn wipe(&self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "redis-server runs");
        for file in self.files()? {
            fs::remove_file(file)?;
        }
        Ok(())
    }

    /// The files of the log: one beside the directory's others up to Redis 6, a directory of them since Redis 7.
    fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = vec![self.dir.join("appendonly.aof")];
        if let Ok(entries) = fs::read_dir(self.dir.join("appendonlydir")) {
            for entry in entries {
                files.push(entry?.path());
            }
        }
        files.retain(|file| file.is_file());
        Ok(files)
    }

    /// Sends one command.
    pub async fn command<T: FromRedisValue>(&self, words: &[&str]) -> anyhow::Result<T> {
        let mut connection = connect(self.port).await?;
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        Ok(command.query_async(&mut connection).await?)
    }

    /// From now on [`Redis::calls`] counts from 0.
    pub async fn count_calls(&self) -> anyhow::Result<()> {
        self.command(&["CONFIG", "RESETSTAT"]).await
    }

    /// How often a script was called by its SHA, and how often one was sent along, since [`Redis::count_calls`].
    ///
    /// Shape of a line: `cmdstat_evalsha:calls=2,..`.
    pub async fn calls(&self) -> anyhow::Result<(u64, u64)> {
        let info: String = self.command(&["INFO", "commandstats"]).await?;
        let (mut called, mut loaded) = (0, 0);
        for line in info.lines() {
            let Some((command, figures)) = line.split_once(":calls=") else {
                continue;
            };
            let calls: u64 = figures.split(',').next().unwrap_or_default().parse()?;
            match command {
                "cmdstat_evalsha" => called += calls,
                "cmdstat_eval" => loaded += calls,
                _ => {}
            }
        }
        Ok((called, loaded))
    }

    /// Ends all connections but one, and takes no other for so long.
    pub async fn without_room_for(&self, time: Duration) -> anyhow::Result<()> {
        let mut connection = connect(self.port).await?;
        let mut send = async |words: &[&str]| -> anyhow::Result<redis::Value> {
            let mut command = redis::Cmd::new();
            for word in words {
                command.arg(*word);
            }
            Ok(command.query_async(&mut connection).await?)
        };
        send(&["CONFIG", "SET", "maxclients", "1"]).await?;
        send(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await?;
        sleep(time).await;
        send(&["CONFIG", "SET", "maxclients", "10000"]).await?;
        Ok(())
    }

    /// Waits until it has all that `primary` has.
    pub async fn caught_up_with(&self, primary: &Self) -> anyhow::Result<()> {
        let until = Instant::now() + READY_WITHIN;
        loop {
            let info: String = self.command(&["INFO", "replication"]).await?;
            let theirs: String = primary.command(&["INFO", "replication"]).await?;
            let [ours, theirs] = [&info, &theirs].map(|info| offset(info));
            if info.contains("master_link_status:up") && ours == theirs {
                return Ok(());
            }
            ensure!(Instant::now() < until, "the replica does not catch up");
            sleep(POLL).await;
        }
    }
}

fn offset(info: &str) -> Option<&str> {
    info.lines()
        .find_map(|line| line.strip_prefix("master_repl_offset:"))
}

async fn connect(port: u16) -> anyhow::Result<MultiplexedConnection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/"))?;
    Ok(client.get_multiplexed_async_connection().await?)
}
