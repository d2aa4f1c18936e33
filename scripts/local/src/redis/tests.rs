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

#[tokio::test]
async fn what_is_written_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let data = Data::open(dir.path()).unwrap();
    let redis = Redis::start(&data).await.unwrap();
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
    let dir = tempfile::tempdir().unwrap();
    let data = Data::open(dir.path()).unwrap();
    let redis = Redis::start(&data).await.unwrap();
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
    let dir = tempfile::tempdir().unwrap();
    let data = Data::open(dir.path()).unwrap();
    let redis = Redis::start(&data).await.unwrap();
    let first = pid(&data);
    let kill = ["-c", "kill -KILL \"$0\"", &first];
    assert!(
        Command::new("sh")
            .args(kill)
            .status()
            .await
            .unwrap()
            .success()
    );
    gone(&first).await;
    while wire::ask(&redis.socket, "PING").await.is_err() {
        sleep(POLL).await;
    }
    assert_ne!(pid(&data), first);
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
    let appended = data.dir("redis").unwrap().join("appendonlydir");
    fs::write(&appended, "not a directory").unwrap();
    let error = format!("{:#}", Redis::start(&data).await.unwrap_err());
    assert!(error.starts_with("redis-server ended with"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}
