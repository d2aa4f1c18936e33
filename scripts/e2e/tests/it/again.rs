//! This suite once more, against another target: what the tests of the targets share.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{process::Command, sync::Mutex};

/// Held by whoever runs the suite again: two more systems at a time are too much for a small machine.
pub(crate) static TURN: Mutex<()> = Mutex::const_new(());

/// Where the system is, as the suite is told by its environment.
pub(crate) struct Place<'a> {
    pub(crate) base_url: &'a str,
    pub(crate) admin: &'a str,
    pub(crate) signing_key_file: &'a Path,
    pub(crate) private_socket: &'a Path,
}

/// Whether this is the suite that somebody runs against a system of theirs: then no other is started.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment says which system is tested"
)]
pub(crate) fn is_elsewhere() -> bool {
    std::env::var("BASE_URL").is_ok()
}

/// The functions' binaries. `cargo test` builds them with the tests of `break`; where only this package is tested for the
/// first time, they are built now.
pub(crate) fn binaries() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let binaries = here.ancestors().nth(2).unwrap().join("examples");
    if !binaries.join("break-web").exists() {
        let mut build = std::process::Command::new(env!("CARGO"));
        build.args(["build", "--package", "break", "--examples"]);
        assert!(build.status().unwrap().success());
    }
    binaries
}

/// Runs this binary again, without the tests whose names begin so, one test at a time.
pub(crate) async fn passes(place: &Place<'_>, skipped: &[&str]) {
    let mut suite = Command::new(std::env::current_exe().unwrap());
    suite.arg("--test-threads=1");
    for name in skipped {
        suite.args(["--skip", name]);
    }
    suite
        .env("BASE_URL", place.base_url)
        .env("ADMIN", place.admin)
        .env("SIGNING_KEY_FILE", place.signing_key_file)
        .env("PRIVATE_SOCKET", place.private_socket);
    suite.stdin(Stdio::null()).kill_on_drop(true);
    let output = suite.output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    // It was this suite, and not a filter that leaves nothing of it.
    let passed = told.lines().filter(|line| line.ends_with("... ok")).count();
    assert!(passed > 20, "{told}");
    println!("{passed} tests passed");
}
