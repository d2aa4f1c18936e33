//! The same suite against the Knative target: every function a process of its own behind nginx, on `MariaDB`, as
//! `break` puts it together. It is this binary itself that is run, told by its environment where the system is.

use std::{path::PathBuf, process::Stdio};

use r#break::fleet::{Fleet, Target};
use tokio::process::Command;

/// Tests that start a system of their own, this one among them: they have nothing to do with the one that is named.
const NOT_AGAIN: [&str; 4] = ["aws::", "broken::", "knative::", "up::"];

/// The functions' binaries. `cargo test` builds them with the tests of `break`; where only this package is tested for the
/// first time, they are built now.
fn binaries() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let binaries = here.ancestors().nth(2).unwrap().join("examples");
    if !binaries.join("break-web").exists() {
        let mut build = std::process::Command::new(env!("CARGO"));
        build.args(["build", "--package", "break", "--examples"]);
        assert!(build.status().unwrap().success());
    }
    binaries
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "the environment says which system is tested"
)]
async fn the_suite_passes_against_functions_behind_nginx_on_mariadb() {
    if std::env::var("BASE_URL").is_ok() {
        return;
    }
    let binaries = tokio::task::spawn_blocking(binaries).await.unwrap();
    let fleet = Fleet::start_on(Target::Knative, &binaries).await.unwrap();
    let private_socket = fleet.listen_inside().unwrap();
    let mut suite = Command::new(std::env::current_exe().unwrap());
    for name in NOT_AGAIN {
        suite.args(["--skip", name]);
    }
    suite
        .env("BASE_URL", &fleet.base_url)
        .env("ADMIN", &fleet.admin)
        .env("SIGNING_KEY_FILE", &fleet.signing_key_file)
        .env("PRIVATE_SOCKET", &private_socket);
    suite.stdin(Stdio::null()).kill_on_drop(true);
    let output = suite.output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    // It was this suite, and not a filter that leaves nothing of it.
    let passed = told.lines().filter(|line| line.ends_with("... ok")).count();
    assert!(passed > 20, "{told}");
    println!("{passed} tests passed");
}
