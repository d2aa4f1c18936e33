//! The schema: numbered migrations that are built in, and their application.
//!
//! Neither server can undo the making of a table, so nothing here relies on it: each statement of a migration can be
//! repeated, and a migration counts only when all of its statements are done. One process at a time migrates.

use std::time::Duration;

use sqlx::{Connection, MySqlConnection, Row, raw_sql};

use super::MySqlStore;

/// What was made when, in its order. A migration that has been shipped is never changed: add another.
const MIGRATIONS: [(u32, &str); 1] = [(1, include_str!("migrations/0001_tables.sql"))];

/// How long one process waits for another that migrates.
const WAIT_SECS: u32 = 60;
/// How long a connection may take to stand: the server may have just been started.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_versions (
    version INT UNSIGNED NOT NULL,
    applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (version)
) ENGINE = InnoDB";

/// Why the schema is not what it has to be.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The server is away, or refuses.
    #[error("the server is away or refuses")]
    Server(#[from] sqlx::Error),
    /// No connection within ten seconds.
    #[error("the server does not answer")]
    Away,
    /// Another process has been migrating for a minute.
    #[error("another process is migrating the database")]
    Locked,
    /// The database is of a later version of Spike, which this one may not understand.
    #[error("the database has the schema {0}, which this version does not know")]
    Newer(u32),
}

impl MySqlStore {
    /// Brings the schema up to date; the numbers of the migrations that were missing. Any number of processes may call it
    /// at once, and a second call changes nothing.
    pub async fn migrate(&self) -> Result<Vec<u32>, MigrateError> {
        let options = self.pool.connect_options();
        let connecting = MySqlConnection::connect_with(&options);
        let connecting = tokio::time::timeout(CONNECT_WITHIN, connecting).await;
        let mut connection = connecting.map_err(|_| MigrateError::Away)??;
        let applied = migrate_alone(&mut connection).await;
        // The lock goes with the connection, whatever has happened.
        connection.close().await?;
        applied
    }
}

async fn migrate_alone(connection: &mut MySqlConnection) -> Result<Vec<u32>, MigrateError> {
    let lock = sqlx::query("SELECT GET_LOCK(CONCAT('spike-', MD5(DATABASE())), ?)").bind(WAIT_SECS);
    let lock: Option<i64> = lock.fetch_one(&mut *connection).await?.try_get(0)?;
    if lock != Some(1) {
        return Err(MigrateError::Locked);
    }
    raw_sql(VERSIONS).execute(&mut *connection).await?;
    let newest: Option<u32> = sqlx::query("SELECT MAX(version) FROM schema_versions")
        .fetch_one(&mut *connection)
        .await?
        .try_get(0)?;
    let newest = newest.unwrap_or(0);
    if newest > MIGRATIONS[MIGRATIONS.len() - 1].0 {
        return Err(MigrateError::Newer(newest));
    }
    let mut applied = Vec::new();
    for (version, statements) in MIGRATIONS
        .into_iter()
        .filter(|(version, _)| *version > newest)
    {
        raw_sql(statements).execute(&mut *connection).await?;
        sqlx::query("INSERT INTO schema_versions (version) VALUES (?)")
            .bind(version)
            .execute(&mut *connection)
            .await?;
        applied.push(version);
    }
    Ok(applied)
}
