//! Where connections come from: the public TCP port, or a private Unix socket.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

/// A bound socket.
pub trait Listener: Send + Sync {
    /// One connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection. Nothing is lost if the future is dropped before it is ready.
    fn next_stream(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The address, for the log.
    fn address(&self) -> io::Result<String>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next_stream(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // Answers are small and written whole: waiting for more to send only delays them.
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn address(&self) -> io::Result<String> {
        self.local_addr().map(|address| address.to_string())
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next_stream(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }

    fn address(&self) -> io::Result<String> {
        self.local_addr().map(|address| format!("{address:?}"))
    }
}
