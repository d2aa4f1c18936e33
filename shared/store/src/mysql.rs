//! The adapter for `MySQL` 8 and `MariaDB` 10.11, in SQL that both understand.
//!
//! `migrations/` is the list of tables, keys and indexes. Every transition is one statement with its condition in the
//! `WHERE`, or one transaction; the isolation is READ COMMITTED, and rows are locked in one order everywhere: orders,
//! then claims by key, then spikes. Retries are ours: see [`call`]. Why it is so: ADR 19.

mod address;
mod call;
mod claims;
mod dead_letters;
mod end;
mod order_rows;
mod orders;
mod place;
mod row;
mod schema;
mod session;
mod sessions;
mod spikes;
#[cfg(test)]
mod tests;
mod users;

use std::{fmt, time::Duration};

pub use schema::MigrateError;
use sqlx::{Executor, MySql, Pool, mysql::MySqlPoolOptions};
use url::Url;

use crate::{ConnectError, Store, backoff::PATIENCE};

/// How long one call waits for a connection of the pool, or for a new one.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// Within what time one try is finished, waiting for a connection included.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// After what time an unused connection is closed: what scales to zero leaves nothing behind.
const UNUSED_FOR: Duration = Duration::from_mins(5);
/// How old a connection gets, so that a server behind a new address is found.
const OLDEST: Duration = Duration::from_mins(30);

/// What every connection begins with. A row that is locked for longer than a second is somebody else's to decide.
const GREETING: &str = "SET NAMES utf8mb4 COLLATE utf8mb4_bin, time_zone = '+00:00', autocommit = 1, \
     sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = 1; \
     SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// How long calls wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a connection.
    pub(crate) connect: Duration,
    /// For the end of one try.
    pub(crate) answer: Duration,
    /// Until nothing is tried again.
    pub(crate) total: Duration,
}

const USUAL: Patience = Patience {
    connect: CONNECT_WITHIN,
    answer: ANSWER_WITHIN,
    total: PATIENCE,
};

/// For tests on a busy machine.
#[cfg(any(test, feature = "testing"))]
pub(crate) const PATIENT: Patience = Patience {
    connect: Duration::from_secs(20),
    answer: Duration::from_secs(30),
    total: Duration::from_mins(1),
};

/// The store in tables of `MySQL` or `MariaDB`.
#[derive(Clone)]
pub struct MySqlStore {
    pool: Pool<MySql>,
    patience: Patience,
}

/// Without the pool: its options hold the password.
impl fmt::Debug for MySqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlStore")
            .field("size", &self.pool.size())
            .finish_non_exhaustive()
    }
}

impl MySqlStore {
    /// The store at `mysql://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETERS`.
    ///
    /// | parameter | meaning |
    /// |---|---|
    /// | `ssl-mode` | `DISABLED`, `PREFERRED` (the default: TLS if the server has it, unverified), `REQUIRED`, `VERIFY_CA`, `VERIFY_IDENTITY` |
    /// | `ssl-ca`, `ssl-cert`, `ssl-key` | PEM files: who signs the server, and who we are |
    /// | `socket` | a Unix socket instead of host and port |
    /// | `connections` | the size of the pool, 1 to 100; 8 by default |
    ///
    /// Any other is refused: a misspelt `ssl-mode` must not leave a connection in the clear. One connection is opened, so
    /// that the first request finds it; a server that is away is noticed by the first call.
    pub async fn connect(url: &Url) -> Result<Self, ConnectError> {
        let store = Self::lazily(url, USUAL)?;
        if let Err(error) = store.pool.acquire().await {
            tracing::warn!(%error, "the store is not there yet");
        }
        Ok(store)
    }

    /// The same, without a connection yet.
    pub(crate) fn lazily(url: &Url, patience: Patience) -> Result<Self, ConnectError> {
        let address = address::read(url)?;
        let pool = MySqlPoolOptions::new()
            .max_connections(address.connections)
            .acquire_timeout(patience.connect)
            .idle_timeout(UNUSED_FOR)
            .max_lifetime(OLDEST)
            // A connection that the server has left is noticed by the first try; later tries test theirs.
            .test_before_acquire(false)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(GREETING).await.map(drop) })
            });
        Ok(Self {
            pool: pool.connect_lazy_with(address.options),
            patience,
        })
    }
}

impl Store for MySqlStore {}
