//! What the processes of a fleet have logged: a defect that they survive is a defect still.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::time::{Instant, sleep};

use crate::service::DEADLINE;

const POLL: Duration = Duration::from_millis(100);

/// How long each log was at some moment.
#[derive(Debug, Default)]
pub struct Mark(BTreeMap<PathBuf, u64>);

impl Mark {
    /// Where the logs of this directory end now.
    pub fn set(dir: &Path) -> anyhow::Result<Self> {
        let mut lengths = BTreeMap::new();
        for path in logs(dir)? {
            let length = path.metadata()?.len();
            lengths.insert(path, length);
        }
        Ok(Self(lengths))
    }

    /// That nothing was logged since in this directory that must never be, except for lines with one of the texts in
    /// `expected`.
    pub fn quiet_since(&self, dir: &Path, expected: &[&str]) -> anyhow::Result<()> {
        for path in logs(dir)? {
            for line in self.lines(&path)? {
                if is_alarm(&line) && !expected.iter().any(|text| line.contains(text)) {
                    bail!("logged by {}: {line}", name(&path));
                }
            }
        }
        Ok(())
    }

    /// Waits until the log of `function` has a line with all of these texts; answers with it.
    pub async fn line(&self, dir: &Path, function: &str, texts: &[&str]) -> anyhow::Result<String> {
        let path = dir.join(format!("{function}.log"));
        let until = Instant::now() + DEADLINE;
        loop {
            let lines = self.lines(&path)?;
            let mut found = lines.into_iter();
            if let Some(line) = found.find(|line| texts.iter().all(|text| line.contains(text))) {
                return Ok(line);
            }
            if Instant::now() > until {
                bail!("{function} never logged {texts:?}");
            }
            sleep(POLL).await;
        }
    }

    fn lines(&self, path: &Path) -> anyhow::Result<Vec<String>> {
        let open = || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(self.0.get(path).copied().unwrap_or(0)))?;
            BufReader::new(file).lines().collect()
        };
        let lines: std::io::Result<Vec<String>> = open();
        lines.with_context(|| path.display().to_string())
    }
}

/// A panic, or anything else that a function logs as an error: a 500, an incident, an order that was rejected while units
/// were on offer. A dependency that is away is a warning.
fn is_alarm(line: &str) -> bool {
    line.contains(r#""level":"ERROR""#) || line.contains("panicked")
}

fn logs(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "log") {
            found.push(path);
        }
    }
    Ok(found)
}

fn name(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_after_the_mark_and_must_not_be_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spike.log");
        let quiet = "{\"level\":\"INFO\",\"message\":\"swept\",\"incidents\":0}\n";
        let alarms = [
            "{\"level\":\"ERROR\",\"message\":\"incident: a repaired difference is there again\"}\n",
            "thread 'main' panicked at src/main.rs:1:1:\n",
        ];
        fs::write(&path, alarms.concat()).unwrap();
        let mark = Mark::set(dir.path()).unwrap();
        mark.quiet_since(dir.path(), &[]).unwrap();
        for alarm in alarms {
            let mark = Mark::set(dir.path()).unwrap();
            let before = fs::read_to_string(&path).unwrap();
            fs::write(&path, before + quiet).unwrap();
            mark.quiet_since(dir.path(), &[]).unwrap();
            let before = fs::read_to_string(&path).unwrap();
            fs::write(&path, before + alarm).unwrap();
            let told = mark.quiet_since(dir.path(), &[]).unwrap_err().to_string();
            assert!(told.starts_with("logged by spike: "), "{told}");
            assert!(told.ends_with(alarm.trim_end()), "{told}");
        }
        mark.quiet_since(dir.path(), &["incident", "panicked"])
            .unwrap();
    }
}
