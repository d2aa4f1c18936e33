//! Just enough of Redis' protocol to ask a server how it is: inline commands, and their answers up to the first gap
//! (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).

use std::{io, path::Path, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The answer to one command, without its last line end; empty if the server closes the connection.
pub(super) async fn ask(socket: &Path, command: &str) -> io::Result<String> {
    tokio::time::timeout(ANSWER_WITHIN, exchange(socket, command)).await?
}

async fn exchange(socket: &Path, command: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream
        .write_all(format!("{command}\r\n").as_bytes())
        .await?;
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..length])
        .trim_end()
        .to_owned())
}
