//! A whole `local` for tests: in this process or as a process of its own, on a free port, in a directory that goes away.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{Local, Options};

/// How long a process may take to end after SIGTERM.
const ENDS_WITHIN: Duration = Duration::from_secs(40);

/// Options for a data directory: a free port, and no bound on how many buyers are let through at once.
#[must_use]
pub fn options(data: &Path) -> Options {
    Options {
        data: data.to_owned(),
        port: 0,
        reset: false,
        rates: spike::Rates {
            burst_per_unit: 0,
            refill_per_unit: 0,
        }
        .into(),
    }
}

/// Everything in this process, in a directory of its own.
pub async fn start() -> anyhow::Result<(Local, TempDir)> {
    let data = tempfile::tempdir()?;
    let local = Local::start(&options(data.path())).await?;
    Ok((local, data))
}

/// Everything in a process of its own. Dropping it kills that process, as kill -9 would.
#[derive(Debug)]
pub struct Process {
    /// Where the public routes are.
    pub base_url: String,
    /// The data directory: `admin`, `signing-key.pem` and `private.sock` are in it.
    pub data: PathBuf,
    child: Child,
}

impl Process {
    /// Starts the binary `local` on a data directory, and waits until it is ready.
    pub async fn start(binary: &Path, data: &Path) -> anyhow::Result<Self> {
        Self::start_with(binary, data, &[]).await
    }

    /// As [`Process::start`], with these variables in its environment.
    pub async fn start_with(
        binary: &Path,
        data: &Path,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(binary);
        command.envs(variables.iter().copied());
        command
            .args(["--port", "0", "--no-demo", "--data"])
            .arg(data);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().context("cannot start `local`")?;
        let output = child.stdout.take().context("no output")?;
        let mut lines = BufReader::new(output).lines();
        let mut base_url = None;
        while let Some(line) = lines.next_line().await? {
            if let Some((_, url)) = line.split_once(crate::READY) {
                base_url = Some(url.trim().to_owned());
                break;
            }
        }
        // What else it prints is read and dropped, so that it never waits for us.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let base_url = base_url.context("`local` ended before it was ready")?;
        Ok(Self {
            base_url,
            data: data.to_owned(),
            child,
        })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends SIGTERM and waits for the end, which must be a success.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().context("it has ended already")?.to_string();
        let signal = ["-c", "kill -TERM \"$0\"", &id];
        Command::new("sh").args(signal).status().await?;
        let status = tokio::time::timeout(ENDS_WITHIN, self.child.wait()).await??;
        ensure!(status.success(), "`local` ended with {status}");
        Ok(())
    }

    /// Kills it by SIGKILL and waits for its end. Its children are for the next start to find.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}
