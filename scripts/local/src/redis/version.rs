//! Which `redis-server` there is.

use std::{io, process::Stdio};

use anyhow::{Context, bail};
use tokio::process::Command;

/// Before this version a script that has asked for the time may not write. All tests also pass on 5.0, 6.2 and 7.0.
const OLDEST: (u32, u32) = (5, 0);

/// Whether the server on the path will do; if not, the error says it in one line.
pub(super) async fn check() -> anyhow::Result<()> {
    let mut command = Command::new("redis-server");
    command.arg("--version").stdin(Stdio::null());
    match command.output().await {
        Ok(output) => new_enough(&String::from_utf8_lossy(&output.stdout)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("redis-server is missing: scripts/install installs it")
        }
        Err(error) => Err(error).context("cannot run redis-server"),
    }
}

fn new_enough(said: &str) -> anyhow::Result<()> {
    let (major, minor) = OLDEST;
    match version(said) {
        Some(found) if found >= OLDEST => Ok(()),
        Some(_) | None => bail!(
            "redis-server {major}.{minor} or newer is needed, this one says: {}",
            said.lines().next().unwrap_or("nothing")
        ),
    }
}

/// Redis says `Redis server v=7.0.15 sha=...`; its descendants say it alike.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut words = said.split_whitespace();
    let version = words.find_map(|word| word.strip_prefix("v="))?;
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_version_that_will_do_is_five() {
        for good in [
            "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0",
            "Redis server v=5.0.6 sha=00000000:0",
            "Valkey server v=8.0.1 sha=00000000:0",
            "Redis server v=10.0.0",
        ] {
            new_enough(good).unwrap();
        }
        for bad in ["Redis server v=4.0.14 sha=00000000:0", "Redis 7", ""] {
            let error = new_enough(bad).unwrap_err().to_string();
            assert!(error.starts_with("redis-server 5.0 or newer"), "{error}");
        }
    }
}
