//! Whatever is started ends with whoever started it, however that ended.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// Far more than a shell takes.
const DEADLINE: Duration = Duration::from_mins(1);

#[test]
fn what_was_started_does_not_outlive_a_kill_9() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("of a fleet");
    std::fs::create_dir(&directory).unwrap();
    let mut command = Command::new(super::examples().join("guarded"));
    command.arg(&directory).stdout(Stdio::piped());
    let mut starter = command.spawn().unwrap();
    let mut id = String::new();
    let mut told = BufReader::new(starter.stdout.take().unwrap());
    told.read_line(&mut id).unwrap();
    let id = id.trim();
    assert!(runs(id), "{id:?} was not started");
    starter.kill().unwrap();
    starter.wait().unwrap();
    let until = Instant::now() + DEADLINE;
    while runs(id) || directory.exists() {
        assert!(Instant::now() < until, "{id} or its directory is left");
        sleep(Duration::from_millis(20));
    }
}

/// Whether a process runs. One that has ended and that nobody has waited for does not.
fn runs(id: &str) -> bool {
    let mut ps = Command::new("ps");
    let output = ps.args(["-o", "stat=", "-p", id]).output().unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    let state = state.trim();
    !state.is_empty() && !state.starts_with('Z')
}
