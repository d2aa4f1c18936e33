//! A real `mariadbd` for tests: a child process in a directory of its own, on a free loopback port.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use tempfile::TempDir;
use url::Url;

use crate::{
    MySqlStore, Store,
    mysql::{PATIENT, Patience},
    testing::free_port,
};

/// Makes the server's files, runs it, and kills it when its standard input ends, which happens at the latest when the
/// test process is gone, however it went: neither a static server nor a killed test leaves a child or a directory behind.
/// `$0` is the directory. Temporary files are in it, too: a server that starts deletes those that others have in `/tmp`.
const KEEPER: &str = r#"
PATH="$PATH:/usr/sbin:/usr/local/sbin"
command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null || exit 127
export TMPDIR="$0/tmp" && mkdir -p "$TMPDIR"
test -d "$0/data" || mariadb-install-db --no-defaults --auth-root-authentication-method=normal --skip-test-db \
  --skip-name-resolve --innodb-log-file-size=16M --user="$(id -un)" --datadir="$0/data" >"$0/install.log" 2>&1 || exit 126
mariadbd --no-defaults --user="$(id -un)" --datadir="$0/data" "$@" 2>>"$0/server.log" & server=$!
read -r word
kill -9 "$server"
wait "$server" 2>/dev/null
test "$word" = keep || rm -rf "$0"
"#;

/// Small, and without a second log. What is committed is on the disk as in production: a killed server shows whether.
const ARGS: [&str; 11] = [
    "--skip-log-bin",
    "--skip-name-resolve",
    "--bind-address=127.0.0.1",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=16M",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-flush-neighbors=0",
    "--performance-schema=OFF",
    "--max-connections=500",
    "--table-open-cache=2000",
    "--log-warnings=1",
];

/// What the account of the stores is called, and its password, which a URL has to escape.
const USER: &str = "spike";
const PASSWORD: &str = "p@ss/word:1";

/// A server, ended when this is dropped.
#[derive(Debug)]
pub struct MariaDb {
    dir: TempDir,
    port: u16,
    args: Vec<String>,
    keeper: Option<Child>,
}

/// Starts a server.
///
/// # Panics
/// If `mariadbd` is not installed or does not start.
#[must_use]
pub fn mariadb() -> MariaDb {
    mariadb_with(&[])
}

/// Starts a server with further arguments, such as `["--ssl-cert=..."]`.
///
/// # Panics
/// If `mariadbd` is not installed or does not start.
#[must_use]
pub fn mariadb_with(args: &[&str]) -> MariaDb {
    let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("no directory: {error}"));
    let mut server = MariaDb {
        dir,
        port: free_port().unwrap_or_else(|error| panic!("{error}")),
        args: args.iter().map(ToString::to_string).collect(),
        keeper: None,
    };
    server.start();
    server
}

/// One server for all tests of a process; each uses a [database](MariaDb::database) of its own.
///
/// # Panics
/// If `mariadbd` is not installed or does not start.
#[must_use]
pub fn shared_mariadb() -> &'static MariaDb {
    static SHARED: LazyLock<MariaDb> = LazyLock::new(mariadb);
    &SHARED
}

/// A database of the shared server; it goes with the server.
#[derive(Debug)]
pub struct Database {
    url: Url,
}

impl Database {
    /// What `STORE_URL` would name: other processes can connect to it too.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }
}

/// A fresh store with its tables, in a database of its own on the shared server. It waits for every answer for longer
/// than in production, so that a busy machine fails no test; take [`MySqlStore::connect`] to see the real deadlines.
///
/// # Panics
/// If `mariadbd` is not installed or does not start.
pub async fn mysql() -> (Arc<dyn Store>, Database) {
    let (store, database) = mysql_store().await;
    (Arc::new(store), database)
}

pub(crate) async fn mysql_store() -> (MySqlStore, Database) {
    let url = shared_mariadb().database().await;
    (mysql_store_at(&url, PATIENT).await, Database { url })
}

#[expect(clippy::expect_used, reason = "a test without its store cannot go on")]
pub(crate) async fn mysql_store_at(url: &Url, patience: Patience) -> MySqlStore {
    let store = MySqlStore::lazily(url, patience).expect("an address");
    store.migrate().await.expect("tables");
    store
}

impl MariaDb {
    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of the server's files.
    #[must_use]
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The server for its administrator, without a database.
    #[must_use]
    pub fn root_url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}", self.port)
    }

    /// A new database without tables, for an account that may do anything in it and nothing elsewhere.
    ///
    /// # Panics
    /// If the server does not answer.
    #[expect(clippy::expect_used, reason = "a test without its store cannot go on")]
    pub async fn database(&self) -> Url {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("spike_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let root = MySqlConnection::connect(&self.root_url()).await;
        let mut root = root.expect("a connection of the administrator");
        for sql in [
            format!("CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'"),
            format!("CREATE DATABASE {name}"),
            format!("GRANT ALL ON {name}.* TO '{USER}'@'%'"),
        ] {
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut root).await;
            done.expect("a database");
        }
        root.close().await.expect("an end");
        let url = format!("mysql://127.0.0.1:{}/{name}", self.port);
        let mut url = Url::parse(&url).expect("a URL");
        let named = url
            .set_username(USER)
            .and_then(|()| url.set_password(Some(PASSWORD)));
        named.expect("an account in the URL");
        url
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
    /// If it does not start within two minutes.
    pub fn start(&mut self) {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER]).arg(self.dir.path());
        command.arg(format!("--port={}", self.port));
        command.arg(format!(
            "--socket={}",
            self.dir.path().join("sock").display()
        ));
        command.args(ARGS).args(&self.args);
        let keeper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.keeper = Some(keeper.unwrap_or_else(|error| panic!("no shell: {error}")));
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&mut self) {
        for _ in 0..6000 {
            if greets(self.port) {
                return;
            }
            let ended = self.keeper.as_mut().map(Child::try_wait);
            if let Some(Ok(Some(status))) = ended {
                panic!(
                    "mariadbd is not installed (scripts/install does it) or cannot make its files: these tests need the \
                     real one: {status}: {}",
                    self.log("install.log")
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!(
            "mariadbd did not answer within two minutes: {}",
            self.log("server.log")
        );
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether the server begins its handshake: four bytes of length and number, then the version of the protocol.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    let mut head = [0; 5];
    stream.read_exact(&mut head).is_ok() && head[4] == 10
}
