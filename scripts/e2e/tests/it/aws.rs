//! The same suite against the AWS target: the functions' Lambda binaries behind an emulated API Gateway, with SQS, DynamoDB
//! and a Redis with TLS, as `emulate` puts them together. It is this binary itself that is run, told by its environment
//! where the system is.

use std::{path::PathBuf, process::Stdio, time::Duration};

use emulate::cloud::{Cloud, Options};
use tokio::process::Command;

/// Not against this: tests that start a system of their own, the race, which `emulate` runs itself, and what sockets can do
/// to a server, since that server is AWS' own.
const NOT_HERE: [&str; 6] = [
    "aws::",
    "broken::",
    "knative::",
    "up::",
    "faults::sockets::",
    "concurrency::a_race_of_five_hundred",
];

/// The functions' binaries, as packages. `cargo test` builds them with the tests of `break`; where only this package is
/// tested for the first time, they are built now.
fn packages() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let binaries = here.ancestors().nth(2).unwrap().join("examples");
    if !binaries.join("break-web").exists() {
        let mut build = std::process::Command::new(env!("CARGO"));
        build.args(["build", "--package", "break", "--examples"]);
        assert!(build.status().unwrap().success());
    }
    emulate::testing::packages(&binaries).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "the environment says which system is tested"
)]
async fn the_suite_passes_against_lambda_functions() {
    if std::env::var("BASE_URL").is_ok() {
        return;
    }
    let options = Options {
        packages: tokio::task::spawn_blocking(packages).await.unwrap(),
        port: 0,
        // More than there are requests at a time.
        instances_max: 100,
        freezes: true,
        timer_every: Duration::from_secs(2),
        queue: None,
        writers: 2,
        rate: 0,
    };
    let dir = tempfile::tempdir().unwrap();
    let cloud = Cloud::start(&options, dir.path()).await.unwrap();
    let mut suite = Command::new(std::env::current_exe().unwrap());
    for name in NOT_HERE {
        suite.args(["--skip", name]);
    }
    suite
        .env("BASE_URL", &cloud.base_url)
        .env("ADMIN", &cloud.admin)
        .env("SIGNING_KEY_FILE", &cloud.signing_key_file)
        .env("PRIVATE_SOCKET", &cloud.private_socket);
    suite.stdin(Stdio::null()).kill_on_drop(true);
    let output = suite.output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    // It was this suite, and not a filter that leaves nothing of it.
    let passed = told.lines().filter(|line| line.ends_with("... ok")).count();
    assert!(passed > 20, "{told}");
    println!("{passed} tests passed");
}
