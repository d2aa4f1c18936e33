//! As many connections as there may be open files.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;

/// Starts a broker in a shell that has set its limits.
async fn limited(limit: &str) -> (Child, String) {
    let mut command = Command::new("sh");
    let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
    command.args(["-c", &script, BINARY, "broker", "--port", "0"]);
    command.args(["--subscriber", "http://127.0.0.1:1/"]);
    command.args(["--dead-letter", "http://127.0.0.1:1/"]);
    command.env("RUST_LOG", "warn").stderr(Stdio::piped());
    let (child, url) = announced(command).await;
    let url: url::Url = url.parse().unwrap();
    (child, format!("127.0.0.1:{}", url.port().unwrap()))
}

async fn asks(address: &str, count: usize) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let request = b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n";
        connection.write_all(request).await.unwrap();
        connections.push(connection);
    }
    connections
}

async fn are_answered(connections: &mut [TcpStream]) {
    for connection in connections {
        let mut status = [0; 12];
        let read = connection.read_exact(&mut status);
        let read = tokio::time::timeout(Duration::from_secs(30), read).await;
        read.unwrap().unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
    }
}

async fn said_nothing(child: Child) {
    terminate(&child).await;
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(output.status.success());
}

#[tokio::test]
async fn a_low_limit_of_open_files_is_raised() {
    let (child, address) = limited("-Sn 64").await;
    let mut connections = asks(&address, 200).await;
    are_answered(&mut connections).await;
    drop(connections);
    said_nothing(child).await;
}

#[tokio::test]
async fn where_it_cannot_be_raised_connections_wait_for_their_turn() {
    let (child, address) = limited("-n 100").await;
    let mut first = asks(&address, 50).await;
    let mut more = asks(&address, 50).await;
    are_answered(&mut first).await;
    drop(first);
    are_answered(&mut more).await;
    drop(more);
    said_nothing(child).await;
}
