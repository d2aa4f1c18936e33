//! The binary itself: how it starts, ends, is killed, and what it says when it cannot start.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod files;
mod operators;
mod signals;

use std::{
    io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, process::Stdio, time::Duration,
};

use local::testing::Process;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

const BINARY: &str = env!("CARGO_BIN_EXE_local");

async fn start(data: &Path) -> Process {
    Process::start(Path::new(BINARY), data).await.unwrap()
}

/// Registers an account and logs in, which is a write to the store; the refresh token shows later that it is still there.
async fn refresh_token(base_url: &str) -> String {
    let account = json!({ "username": "ada", "password": "sneakers for everybody" });
    for path in ["users", "users/login"] {
        let answer = Client::new()
            .post(format!("{base_url}/{path}"))
            .json(&account);
        let answer: Value = answer.send().await.unwrap().json().await.unwrap();
        if let Some(token) = answer["refresh_token"].as_str() {
            return token.to_owned();
        }
    }
    panic!("no refresh token");
}

async fn refresh(base_url: &str, token: &str) -> StatusCode {
    let body = json!({ "refresh_token": token });
    let answer = Client::new()
        .post(format!("{base_url}/users/refresh"))
        .json(&body);
    answer.send().await.unwrap().status()
}

/// The process ids of the redis-servers that run on this directory.
fn servers(data: &Path) -> Vec<String> {
    let pid = std::fs::read_to_string(data.join("redis/redis.pid")).unwrap_or_default();
    let running = ["-c", "kill -0 \"$0\" 2>/dev/null", pid.trim()];
    let running = !pid.is_empty()
        && std::process::Command::new("sh")
            .args(running)
            .status()
            .unwrap()
            .success();
    if running {
        vec![pid.trim().to_owned()]
    } else {
        Vec::new()
    }
}

#[tokio::test]
async fn fault_33_sigterm_ends_it_and_its_children_with_nothing_lost() {
    let data = tempfile::tempdir().unwrap();
    let process = start(data.path()).await;
    let token = refresh_token(&process.base_url).await;
    process.stop().await.unwrap();
    assert_eq!(servers(data.path()), [""; 0], "no child is left");
    let process = start(data.path()).await;
    assert_eq!(refresh(&process.base_url, &token).await, StatusCode::OK);
    process.stop().await.unwrap();
}

#[tokio::test]
async fn kill_minus_nine_loses_nothing_and_leaves_no_child() {
    let data = tempfile::tempdir().unwrap();
    let process = start(data.path()).await;
    let token = refresh_token(&process.base_url).await;
    let before = servers(data.path());
    assert_eq!(before.len(), 1);
    process.kill().await.unwrap();
    let process = start(data.path()).await;
    let now = servers(data.path());
    assert!(
        now.len() == 1 && now != before,
        "one server, and another one"
    );
    assert_eq!(refresh(&process.base_url, &token).await, StatusCode::OK);
    process.stop().await.unwrap();
}

/// A directory with a `redis-server` that is this script.
fn fake_server(script: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).mode(0o755);
    let mut file = options.open(dir.path().join("redis-server")).unwrap();
    writeln!(file, "#!/bin/sh\n{script}").unwrap();
    dir
}

/// The one line that it says when it cannot start.
async fn failure(port: &str, data: &Path, path: Option<&Path>) -> String {
    let mut command = Command::new(BINARY);
    command.args(["--port", port, "--data"]).arg(data);
    command.env("RUST_LOG", "off").env("RUST_BACKTRACE", "1");
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said.trim_end().to_owned()
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_one_line_and_a_failure() {
    let data = tempfile::tempdir().unwrap();
    let process = start(data.path()).await;
    let port = process.base_url.rsplit_once(':').unwrap().1;
    let other = tempfile::tempdir().unwrap();
    let used = failure("0", data.path(), None).await;
    let expected = format!(
        "local: the data directory {} is in use by another `local`",
        data.path().display()
    );
    assert_eq!(used, expected);
    let taken = failure(port, other.path(), None).await;
    let expected = format!("local: cannot listen on port {port}: Address already in use");
    assert!(taken.starts_with(&expected), "{taken}");
    process.stop().await.unwrap();
}

#[tokio::test]
async fn a_redis_that_is_missing_or_too_old_is_one_line_and_a_failure() {
    let data = tempfile::tempdir().unwrap();
    // The log of an earlier run does not mislead.
    start(data.path()).await.stop().await.unwrap();
    let nothing = tempfile::tempdir().unwrap();
    assert_eq!(
        failure("0", data.path(), Some(nothing.path())).await,
        "local: redis-server is missing: scripts/install installs it"
    );
    let old = fake_server("echo 'Redis server v=4.0.9 sha=00000000:0'");
    assert_eq!(
        failure("0", data.path(), Some(old.path())).await,
        "local: redis-server 5.0 or newer is needed, this one says: Redis server v=4.0.9 sha=00000000:0"
    );
}

/// Starts a subcommand and reads the one line that says where it listens.
async fn part(arguments: &[&str]) -> (Child, String) {
    let mut command = Command::new(BINARY);
    command.args(arguments);
    announced(command).await
}

/// Starts it and reads the one line that says where it listens.
async fn announced(mut command: Command) -> (Child, String) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let (_, url) = line.split_once('=').unwrap();
    (child, url.to_owned())
}

async fn terminate(child: &Child) {
    let id = child.id().unwrap().to_string();
    let signal = ["-c", "kill -TERM \"$0\"", &id];
    let sent = Command::new("sh").args(signal).status().await;
    assert!(sent.unwrap().success());
}

async fn end(mut child: Child) {
    terminate(&child).await;
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn the_store_runs_as_a_process_of_its_own_and_keeps_its_file() {
    let data = tempfile::tempdir().unwrap();
    let arguments = [
        "store",
        "--port",
        "0",
        "--data",
        data.path().to_str().unwrap(),
    ];
    for run in 0..2 {
        let (child, url) = part(&arguments).await;
        let store = store::connect(&url.parse().unwrap()).await.unwrap();
        let letter = store::DeadLetter {
            id: "x".to_owned(),
            body: "{".to_owned(),
            reason: String::new(),
            received_at: domain::Timestamp::from_millis(1),
            redriven_at: None,
        };
        let kept = store.dead_letter("x").await.unwrap();
        assert_eq!(kept, (run == 1).then_some(letter.clone()));
        store.add_dead_letter(&letter).await.unwrap();
        drop(store);
        end(child).await;
    }
}

#[tokio::test]
async fn the_broker_runs_as_a_process_of_its_own() {
    let (delivered, mut deliveries) = tokio::sync::mpsc::unbounded_channel();
    let take = async move |headers: axum::http::HeaderMap, body: axum::body::Bytes| {
        delivered
            .send(events::envelope::read(&headers, &body).unwrap())
            .unwrap();
        axum::http::StatusCode::NO_CONTENT
    };
    let router = axum::Router::new().route("/events/order-placed", axum::routing::post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let (subscriber, graves) = (
        format!("{at}/events/order-placed"),
        format!("{at}/events/dead-letter"),
    );
    let arguments = [
        "broker",
        "--port",
        "0",
        "--subscriber",
        &subscriber,
        "--dead-letter",
        &graves,
    ];
    let (child, url) = part(&arguments).await;
    let sink = events::connect(&url.parse().unwrap()).await.unwrap();
    let event = events::conformance::event(1);
    assert!(sink.send(std::slice::from_ref(&event)).await[0].is_ok());
    let arrived = tokio::time::timeout(Duration::from_secs(30), deliveries.recv()).await;
    assert_eq!(arrived.unwrap(), Some(event));
    drop(sink);
    end(child).await;
}
