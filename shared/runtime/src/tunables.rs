//! Tunables: values that an operator may change while the process runs.
//!
//! They stand in a TOML file, typically one key of a mounted `ConfigMap`. The file is looked at every five seconds, by
//! what is in it and with its symbolic links followed anew: the kubelet swaps a link, an editor replaces the file, and
//! neither is missed. (What is mounted with `subPath` is never updated.)
//!
//! A file is taken whole or not at all. It has every key, none that is unknown, and a line end at its end, so that one
//! that is half written is not mistaken for a shorter one. At the start a file that cannot be used stops the process.
//! Later it leaves the old values in force, and is logged once, with the number of such files so far (`refused_total`).
//! ADR 15.

use std::{
    fmt::Debug,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::de::DeserializeOwned;
use tokio::{sync::watch, task};

const LOOK_EVERY: Duration = Duration::from_secs(5);
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The tunables that a process was to start with cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the tunables in {} {problem}", path.display())]
pub struct UnusableTunables {
    path: PathBuf,
    problem: Problem,
}

/// What is wrong with a file. A file that is looked at again is the same as before if this is the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    #[error("are not a file of at most 64 KiB")]
    NotSuchAFile,
    #[error("are empty")]
    Empty,
    #[error("do not end with a line end: they may be half written")]
    Cut,
    #[error("are wrong in line {line}: {message}")]
    Wrong { line: usize, message: String },
}

/// Values that may change while the process runs; cheap to read as often as they are needed.
#[derive(Debug, Clone)]
pub struct Live<T>(watch::Receiver<T>);

impl<T> Live<T> {
    /// Values that are changed by what is sent.
    pub fn changing(first: T) -> (watch::Sender<T>, Self) {
        let (sender, receiver) = watch::channel(first);
        (sender, Self(receiver))
    }
}

impl<T: Copy> Live<T> {
    /// The values that are in force now.
    #[must_use]
    pub fn get(&self) -> T {
        *self.0.borrow()
    }
}

impl<T> From<T> for Live<T> {
    /// Values that stay as they are.
    fn from(value: T) -> Self {
        Self::changing(value).1
    }
}

impl<T: Default> Default for Live<T> {
    fn default() -> Self {
        T::default().into()
    }
}

impl<T> Live<T>
where
    T: Clone + Debug + PartialEq + DeserializeOwned + Send + Sync + 'static,
{
    /// Reads the file, and follows what becomes of it for as long as anybody holds the values.
    pub async fn follow(path: impl Into<PathBuf>) -> Result<Self, UnusableTunables> {
        let (follower, live) = Follower::start(path.into()).await?;
        tokio::spawn(follower.run(LOOK_EVERY));
        Ok(live)
    }
}

/// Looks at one file again and again.
struct Follower<T> {
    path: PathBuf,
    /// What was found the last time.
    seen: Result<String, Problem>,
    refused_total: u64,
    values: watch::Sender<T>,
}

impl<T: Clone + Debug + PartialEq + DeserializeOwned> Follower<T> {
    async fn start(path: PathBuf) -> Result<(Self, Live<T>), UnusableTunables> {
        let seen = look(&path).await;
        match seen.clone().and_then(|text| parse(&text)) {
            Ok(first) => {
                tracing::info!(file.path = %path.display(), values = ?first, "tunables read");
                let (values, live) = Live::changing(first);
                let follower = Self {
                    path,
                    seen,
                    refused_total: 0,
                    values,
                };
                Ok((follower, live))
            }
            Err(problem) => Err(UnusableTunables { path, problem }),
        }
    }

    async fn run(mut self, every: Duration) {
        loop {
            tokio::select! {
                () = self.values.closed() => return,
                () = tokio::time::sleep(every) => self.look_again().await,
            }
        }
    }

    /// Takes what is in the file now, if it is not what was there before.
    async fn look_again(&mut self) {
        let found = look(&self.path).await;
        if found == self.seen {
            return;
        }
        self.seen.clone_from(&found);
        let path = self.path.display();
        match found.and_then(|text| parse::<T>(&text)) {
            Ok(values) => {
                tracing::info!(file.path = %path, ?values, "tunables read");
                self.values.send_if_modified(|old| {
                    let changed = *old != values;
                    *old = values;
                    changed
                });
            }
            Err(problem) => {
                self.refused_total += 1;
                observe::TUNABLES_REFUSED.add(1, []);
                let (refused_total, old) = (self.refused_total, self.values.borrow());
                tracing::warn!(
                    file.path = %path, refused_total, values = ?*old,
                    "these tunables {problem}; the old ones stay"
                );
            }
        }
    }
}

/// What is in the file. The disk may be slow, so that another thread waits for it.
async fn look(path: &Path) -> Result<String, Problem> {
    let path = path.to_owned();
    let found = task::spawn_blocking(move || read(&path)).await;
    found.unwrap_or(Err(Problem::Unreadable(io::ErrorKind::Other)))
}

fn read(path: &Path) -> Result<String, Problem> {
    let unreadable = |error: io::Error| Problem::Unreadable(error.kind());
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Problem::NotSuchAFile);
    }
    let file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    let most = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    if most.map_err(unreadable)? as u64 > FILE_BYTES_MAX {
        return Err(Problem::NotSuchAFile);
    }
    Ok(text)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::Empty);
    }
    if !text.ends_with('\n') {
        return Err(Problem::Cut);
    }
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        Problem::Wrong {
            line: 1 + before.unwrap_or_default().matches('\n').count(),
            message: error.message().to_owned(),
        }
    })
}

#[cfg(test)]
mod tests;
