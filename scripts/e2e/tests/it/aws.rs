//! The same suite against the AWS target: the functions' Lambda binaries behind an emulated API Gateway, with SQS, DynamoDB
//! and a Redis with TLS, as `emulate` puts them together.

use std::{path::PathBuf, time::Duration};

use emulate::cloud::{Cloud, Options};

use crate::again::{Place, TURN, binaries, is_elsewhere, passes};

/// Not against this: tests that start a system of their own, the race, which `emulate` runs itself, and those of what the
/// gateway answers itself before a function is asked: sockets and bodies that are too large.
const NOT_HERE: [&str; 8] = [
    "aws::",
    "broken::",
    "knative::",
    "up::",
    "faults::sockets::",
    "concurrency::a_race_of_five_hundred",
    "faults::tokens::fault_30",
    "openapi::every_operation",
];

/// The functions' binaries, as packages.
fn packages() -> PathBuf {
    emulate::testing::packages(&binaries()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_against_lambda_functions() {
    if is_elsewhere() {
        return;
    }
    let _turn = TURN.lock().await;
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
    let place = Place {
        base_url: &cloud.base_url,
        admin: &cloud.admin,
        signing_key_file: &cloud.signing_key_file,
        private_socket: &cloud.private_socket,
    };
    passes(&place, &NOT_HERE).await;
}
