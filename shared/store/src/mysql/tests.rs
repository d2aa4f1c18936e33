//! The adapter against a real server: all promises of the port, and what may happen to a connection, a transaction and a
//! server.

mod addresses;
mod connections;
mod corrupt;
mod crowd;
mod hostile;
mod lost_answers;
mod migrations;
mod plans;
mod tap;
mod tls;

use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row, mysql::MySqlRow};
use url::Url;

use super::{MySqlStore, Patience, USUAL};

crate::promises!(crate::testing::mysql_store);

/// A connection beside the store's.
async fn connection(url: &Url) -> MySqlConnection {
    MySqlConnection::connect(url.as_str()).await.unwrap()
}

async fn run(connection: &mut MySqlConnection, sql: impl Into<String>) -> Vec<MySqlRow> {
    let sql = AssertSqlSafe(sql.into());
    sqlx::raw_sql(sql).fetch_all(connection).await.unwrap()
}

/// The number in the first column of the only row.
async fn count(connection: &mut MySqlConnection, sql: &str) -> i64 {
    run(connection, sql).await[0].try_get(0).unwrap()
}

/// An id as SQL has it.
fn hex(id: &[u8; 16]) -> String {
    let digits = id.iter().map(|byte| format!("{byte:02x}"));
    format!("x'{}'", digits.collect::<String>())
}
