//! A real `redis-server` for tests: a child process on a Unix socket in a directory of its own.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, LazyLock},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use domain::{Clock, Timestamp};
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use url::Url;

use crate::Stock;

/// Kills the server when its standard input ends, which happens at the latest when the test process is gone, however
/// it went: neither a static server nor a killed test leaves a child or a directory behind. `$0` is the directory.
const KEEPER: &str = r#"
command -v redis-server >/dev/null || exit 127
redis-server "$@" & server=$!
read -r word
kill -9 "$server"
wait "$server" 2>/dev/null
test "$word" = keep || rm -rf "$0"
"#;

/// A Redis server, ended when this is dropped.
pub struct Redis {
    dir: TempDir,
    args: Vec<String>,
    keeper: Option<Child>,
}

/// Starts a server that keeps nothing on disk.
///
/// # Panics
/// If `redis-server` is not installed or does not start.
#[must_use]
pub fn redis() -> Redis {
    redis_with(&[])
}

/// Starts a server with further arguments, such as `["--appendonly", "yes"]`.
///
/// # Panics
/// If `redis-server` is not installed or does not start.
#[must_use]
pub fn redis_with(args: &[&str]) -> Redis {
    let args = args.iter().map(ToString::to_string).collect();
    let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("no directory for Redis: {error}"));
    let mut redis = Redis {
        dir,
        args,
        keeper: None,
    };
    redis.start();
    redis
}

/// One server for all tests of a process; each uses a spike id of its own.
///
/// # Panics
/// If `redis-server` is not installed or does not start.
#[must_use]
pub fn shared() -> &'static Redis {
    static SHARED: LazyLock<Redis> = LazyLock::new(redis);
    &SHARED
}

/// The machine's clock.
#[must_use]
pub fn clock() -> Clock {
    Arc::new(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "tests have no runtime to take a clock from"
        )]
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = since.map_or(0, |since| since.as_millis());
        Timestamp::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
    })
}

impl Redis {
    /// Where the server listens: `redis+unix:///...`.
    ///
    /// # Panics
    /// Never: a temporary directory's path makes a URL.
    #[must_use]
    pub fn url(&self) -> Url {
        let url = format!("redis+unix://{}", self.socket().display());
        Url::parse(&url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// The server's Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// A new connection to the server. It reconnects as in production, but waits five seconds for every answer, so that
    /// a busy machine fails no test; take [`Stock::connect`] to see the real deadline.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn stock(&self, local: Clock) -> Stock {
        let stock = Stock::connect_patiently(&self.url(), local).await;
        stock.unwrap_or_else(|error| panic!("Redis does not answer: {error:?}"))
    }

    /// A plain connection, to look behind the wrapper.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url());
        let client = client.unwrap_or_else(|error| panic!("{}: {error}", self.url()));
        let connection = client.get_multiplexed_async_connection().await;
        connection.unwrap_or_else(|error| panic!("Redis does not answer: {error}"))
    }

    /// Empties the server.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn flush(&self) {
        let mut connection = self.connection().await;
        let flushed = redis::cmd("FLUSHALL").exec_async(&mut connection).await;
        flushed.unwrap_or_else(|error| panic!("Redis cannot be emptied: {error}"));
    }

    /// Kills the server (SIGKILL) and starts it again, with what it had on disk.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// Kills the server (SIGKILL).
    pub fn stop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            if let Some(mut stdin) = keeper.stdin.take() {
                // If the keeper is gone already, there is nobody to tell.
                let _ = stdin.write_all(b"keep\n");
            }
            let _ = keeper.wait();
        }
    }

    /// Starts the server that was stopped.
    ///
    /// # Panics
    /// If it does not start within ten seconds.
    pub fn start(&mut self) {
        let _ = std::fs::remove_file(self.socket());
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER]).arg(self.dir.path());
        command.args(["--port", "0", "--save", "", "--appendonly", "no"]);
        command.arg("--unixsocket").arg(self.socket());
        command.arg("--dir").arg(self.dir.path());
        command.args(["--maxmemory-policy", "noeviction", "--loglevel", "warning"]);
        command.args(&self.args);
        let keeper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.keeper = Some(keeper.unwrap_or_else(|error| panic!("no shell: {error}")));
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&mut self) {
        for _ in 0..1000 {
            if answers(&self.socket()).is_ok() {
                return;
            }
            let keeper = self.keeper.as_mut().map(Child::try_wait);
            assert!(
                !matches!(keeper, Some(Ok(Some(_)))),
                "redis-server is not installed: these tests need the real one"
            );
            thread::sleep(Duration::from_millis(10));
        }
        panic!(
            "redis-server did not answer within ten seconds: {:?}",
            self.args
        );
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

fn answers(socket: &std::path::Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    // While it still reads its file it answers -LOADING.
    if &answer == b"+PONG" {
        Ok(())
    } else {
        Err(io::Error::other("not ready"))
    }
}
