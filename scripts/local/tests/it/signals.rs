//! SIGTERM at other moments than when all is calm.

use std::process::Output;

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::*;

/// Sends SIGTERM again and again until it has ended.
async fn insist(mut child: Child) -> Output {
    while child.try_wait().unwrap().is_none() {
        terminate(&child).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    child.wait_with_output().await.unwrap()
}

async fn until(mut come_about: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if come_about() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came about");
}

#[tokio::test]
async fn a_signal_during_the_start_ends_it_and_what_has_started() {
    let data = tempfile::tempdir().unwrap();
    let never_ready = r#"
        test "$1" = --version && echo "Redis server v=7.0.0" && exit
        echo $$ >"$2/redis.pid"
        exec sleep 600"#;
    let fake = fake_server(never_ready);
    let path = std::process::Command::new("sh")
        .args(["-c", "printf %s \"$PATH\""])
        .output();
    let path = String::from_utf8(path.unwrap().stdout).unwrap();
    let mut command = Command::new(BINARY);
    command.args(["--port", "0", "--data"]).arg(data.path());
    command.env("PATH", format!("{}:{path}", fake.path().display()));
    let mut child = command
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until(|| servers(data.path()).len() == 1).await;
    terminate(&child).await;
    assert!(child.wait().await.unwrap().success());
    until(|| servers(data.path()).is_empty()).await;
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_what_is_under_way() {
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(BINARY);
    command
        .args(["--port", "0", "--no-demo", "--data"])
        .arg(data.path());
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.next_line().await.unwrap().unwrap();
    let address = ready.strip_prefix(local::READY).unwrap();
    let address = address.strip_prefix("http://").unwrap();
    // Half a request is waited for.
    let mut request = TcpStream::connect(address).await.unwrap();
    request
        .write_all(b"GET /spikes HTTP/1.1\r\n")
        .await
        .unwrap();
    let ended = insist(child).await;
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8(ended.stderr).unwrap();
    // Other threads may log a last line after it.
    let last =
        "local: ended at once by a second signal; the next start takes up what is unfinished";
    assert!(said.lines().any(|line| line == last), "{said}");
    until(|| servers(data.path()).is_empty()).await;
    start(data.path()).await.stop().await.unwrap();
}
