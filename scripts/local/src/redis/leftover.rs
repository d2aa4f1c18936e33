//! What an earlier run has left behind: a server on our append-only file that nobody talks to any more.

use std::{fs, io, path::Path, process::Stdio};

use anyhow::bail;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::{GONE_WITHIN, POLL, wire};

/// Ends a server that still runs on this directory. There is one at most, and the directory is locked by us, so whoever
/// listens on its socket, or runs under the process id that it wrote down with that socket in its title, is left over.
pub(super) async fn end(dir: &Path, socket: &Path) -> anyhow::Result<()> {
    let pid_file = dir.join("redis.pid");
    let until = Instant::now() + GONE_WITHIN;
    loop {
        let pid = running(&pid_file, socket).await;
        if pid.is_none() && nobody_listens(socket).await {
            break;
        }
        if Instant::now() >= until {
            bail!(
                "a redis-server of an earlier run does not end{}",
                named(pid.as_deref())
            );
        }
        // A server that is starting, or on its way out, answers nothing yet or any more. SIGTERM reaches the former.
        if wire::ask(socket, "SHUTDOWN").await.is_err()
            && let Some(pid) = &pid
        {
            let kill = ["-c", "kill -TERM \"$0\"", pid];
            Command::new("sh")
                .args(kill)
                .stderr(Stdio::null())
                .status()
                .await?;
        }
        sleep(POLL * 10).await;
    }
    for stale in [&pid_file, socket] {
        let _ = fs::remove_file(stale);
    }
    Ok(())
}

fn named(pid: Option<&str>) -> String {
    pid.map(|pid| format!(": process {pid}"))
        .unwrap_or_default()
}

async fn nobody_listens(socket: &Path) -> bool {
    let answer = wire::ask(socket, "PING").await;
    let nobody = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
    answer.is_err_and(|error| nobody.contains(&error.kind()))
}

/// The process id in the file, if a Redis with our socket runs under it. A server shows its socket in its title; while it
/// starts, its arguments show it.
async fn running(pid_file: &Path, socket: &Path) -> Option<String> {
    let pid = fs::read_to_string(pid_file).ok()?.trim().to_owned();
    if pid.is_empty() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let title = if let Ok(title) = fs::read(format!("/proc/{pid}/cmdline")) {
        title
    } else {
        // Without /proc (macOS) there is `ps`.
        let mut ps = Command::new("ps");
        ps.args(["-ww", "-o", "command=", "-p", &pid])
            .stderr(Stdio::null());
        ps.output().await.ok()?.stdout
    };
    let title = String::from_utf8_lossy(&title);
    let ours = title.contains("redis-server") && title.contains(socket.to_str()?);
    ours.then_some(pid)
}
