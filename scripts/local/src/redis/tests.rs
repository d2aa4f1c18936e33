use std::fs;

use super::*;

async fn ask(redis: &Redis, command: &str) -> String {
    wire::ask(&redis.socket, command).await.unwrap()
}

fn pid(data: &Data) -> String {
    fs::read_to_string(data.file("redis/redis.pid"))
        .unwrap()
        .trim()
        .to_owned()
}

/// A process that has ended and that nobody has taken note of yet is not running: it has no command line any more.
fn is_running(pid: &str) -> bool {
    let signal = ["-c", "kill -0 \"$0\" 2>/dev/null", pid];
    let there = std::process::Command::new("sh")
        .args(signal)
        .status()
        .unwrap()
        .success();
    let ended = fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.is_empty());
    there && !ended
}

async fn gone(pid: &str) {
    let until = Instant::now() + GONE_WITHIN;
    while is_running(pid) {
        assert!(Instant::now() < until, "process {pid} still runs");
        sleep(POLL).await;
    }
}

/// A server on a directory of its own.
async fn start() -> (tempfile::TempDir, Data, Redis) {
    let dir = tempfile::tempdir().unwrap();
    let data = Data::open(dir.path()).unwrap();
    let redis = Redis::start(&data).await.unwrap();
    (dir, data, redis)
}

/// Kills the server and answers with its process id.
async fn kill(data: &Data) -> String {
    let pid = pid(data);
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -KILL \"$0\"", &pid]);
    assert!(kill.status().await.unwrap().success());
    gone(&pid).await;
    pid
}

async fn answers(redis: &Redis) {
    let until = Instant::now() + READY_WITHIN;
    // While it reads its file it answers that it does.
    while wire::ask(&redis.socket, "PING").await.ok().as_deref() != Some("+PONG") {
        assert!(Instant::now() < until, "it does not come back");
        sleep(POLL).await;
    }
}

#[tokio::test]
async fn what_is_written_is_there_after_a_restart() {
    let (_dir, data, redis) = start().await;
    assert_eq!(ask(&redis, "SET a 1").await, "+OK");
    assert_eq!(
        ask(&redis, "CONFIG GET appendfsync").await,
        "*2\r\n$11\r\nappendfsync\r\n$8\r\neverysec"
    );
    assert!(
        ask(&redis, "CONFIG GET maxmemory-policy")
            .await
            .ends_with("noeviction")
    );
    let first = pid(&data);
    redis.stop().await.unwrap();
    gone(&first).await;
    let redis = Redis::start(&data).await.unwrap();
    assert_eq!(ask(&redis, "GET a").await, "$1\r\n1");
    redis.stop().await.unwrap();
}

/// Dropping closes the pipe, as the end of our process would, whatever ends it.
#[tokio::test]
async fn when_we_vanish_it_writes_what_it_has_and_ends() {
    let (_dir, data, redis) = start().await;
    ask(&redis, "SET a 1").await;
    let first = pid(&data);
    drop(redis);
    gone(&first).await;
    let redis = Redis::start(&data).await.unwrap();
    assert_eq!(ask(&redis, "GET a").await, "$1\r\n1");
    redis.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_was_left_behind_is_ended_first() {
    let dir = tempfile::tempdir().unwrap();
    let data = Data::open(dir.path()).unwrap();
    let (home, socket) = places(&data).unwrap();
    let mut server = Server::start(home, socket).await.unwrap();
    wire::ask(&server.socket, "SET a 1").await.unwrap();
    let first = pid(&data);
    // The worst case: the shell is killed as well, so nobody tells the server.
    server.shell.kill().await.unwrap();
    assert!(is_running(&first));
    let again = Redis::start(&data).await.unwrap();
    assert!(!is_running(&first), "one server at a time");
    assert_eq!(ask(&again, "GET a").await, "$1\r\n1");
    again.stop().await.unwrap();
}

#[tokio::test]
async fn fault_10_a_server_that_is_killed_comes_back() {
    let (_dir, data, redis) = start().await;
    let first = kill(&data).await;
    answers(&redis).await;
    assert_ne!(pid(&data), first);
    redis.stop().await.unwrap();
}

/// A server whose log cannot be opened ends at once.
fn keep_from_starting(data: &Data) -> impl FnOnce() {
    let log = data.file("redis/redis.log");
    fs::rename(&log, data.file("redis/before.log")).unwrap();
    fs::create_dir(&log).unwrap();
    move || fs::remove_dir(log).unwrap()
}

#[tokio::test]
async fn a_server_that_cannot_come_back_is_tried_again_until_it_can() {
    let (_dir, data, redis) = start().await;
    ask(&redis, "SET a 1").await;
    let let_it_start = keep_from_starting(&data);
    kill(&data).await;
    // Some tries; more or fewer of them change nothing.
    sleep(START_AGAIN_AFTER * 8).await;
    assert!(!redis.keeper.is_finished(), "the keeper has given up");
    let_it_start();
    answers(&redis).await;
    assert_eq!(ask(&redis, "GET a").await, "$1\r\n1");
    redis.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_server_that_does_not_come_back() {
    let (_dir, data, redis) = start().await;
    let _never = keep_from_starting(&data);
    kill(&data).await;
    // The first try begins with removing what the last server has left.
    while data.file("redis/redis.pid").exists() {
        sleep(POLL).await;
    }
    redis.stop().await.unwrap();
}

#[tokio::test]
async fn a_stale_process_id_of_somebody_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = Data::open(dir.path()).unwrap();
    let mut other = Command::new("sleep")
        .arg("60")
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid_file = data.dir("redis").unwrap().join("redis.pid");
    fs::write(&pid_file, other.id().unwrap().to_string()).unwrap();
    let redis = Redis::start(&data).await.unwrap();
    assert!(other.try_wait().unwrap().is_none(), "it still runs");
    redis.stop().await.unwrap();
    other.kill().await.unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let data = Data::open(dir.path()).unwrap();
    let redis = data.dir("redis").unwrap();
    fs::write(redis.join("appendonly.aof"), "no append-only file").unwrap();
    let error = format!("{:#}", Redis::start(&data).await.unwrap_err());
    assert!(error.starts_with("redis-server ended with"), "{error}");
    assert!(error.contains("reading the append only file"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}
