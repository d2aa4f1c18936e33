//! One connection in the hands of one try.
//!
//! A try may be cut off at any await: by its deadline, or because nobody waits for it any more. What has become of the
//! connection then is known here: between statements it goes back to the pool, inside a transaction it is rolled back
//! first, and in the middle of a statement it is closed, upon which the server rolls back.

use std::time::Duration;

use sqlx::{
    Connection, MySql, MySqlConnection,
    mysql::{MySqlArguments, MySqlQueryResult, MySqlRow},
    pool::PoolConnection,
    query::Query,
};
use tokio::{runtime::Handle, time::timeout};

use super::call::Failure;

/// How long a transaction that nobody waits for has to be rolled back.
const ROLL_BACK_WITHIN: Duration = Duration::from_secs(1);

/// A statement with its values.
pub(super) type Statement<'a> = Query<'a, MySql, MySqlArguments>;

/// Between which requests a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is under way.
    Idle,
    /// A transaction is open.
    Open,
    /// An answer is awaited, or will never come.
    Busy,
}

/// A connection of the pool.
#[derive(Debug)]
pub(super) struct Session {
    connection: Option<PoolConnection<MySql>>,
    state: State,
}

impl Session {
    pub(super) fn new(connection: PoolConnection<MySql>) -> Self {
        Self {
            connection: Some(connection),
            state: State::Idle,
        }
    }

    /// Whether the server is still there.
    pub(super) async fn answers(&mut self) -> bool {
        let Ok((connection, before)) = self.take() else {
            return false;
        };
        let answer = connection.ping().await;
        self.settle(before, answer).is_ok()
    }

    /// Makes a change; what came of it.
    pub(super) async fn execute(
        &mut self,
        statement: Statement<'_>,
    ) -> Result<MySqlQueryResult, Failure> {
        let (connection, before) = self.take()?;
        let answer = statement.execute(connection).await;
        self.settle(before, answer)
    }

    /// Makes a change; how many rows had what its condition asks for.
    pub(super) async fn change(&mut self, statement: Statement<'_>) -> Result<u64, Failure> {
        Ok(self.execute(statement).await?.rows_affected())
    }

    /// Reads all rows.
    pub(super) async fn rows(
        &mut self,
        statement: Statement<'_>,
    ) -> Result<Vec<MySqlRow>, Failure> {
        let (connection, before) = self.take()?;
        let answer = statement.fetch_all(connection).await;
        self.settle(before, answer)
    }

    /// Reads the one row that there is at most.
    pub(super) async fn row(
        &mut self,
        statement: Statement<'_>,
    ) -> Result<Option<MySqlRow>, Failure> {
        Ok(self.rows(statement).await?.pop())
    }

    /// Opens a transaction.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        self.control("START TRANSACTION", State::Open).await
    }

    /// Makes the transaction last. If there is no answer, nobody knows whether it does.
    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        self.control("COMMIT", State::Idle).await
    }

    /// Undoes the transaction.
    pub(super) async fn roll_back(&mut self) -> Result<(), Failure> {
        self.control("ROLLBACK", State::Idle).await
    }

    async fn control(&mut self, sql: &'static str, after: State) -> Result<(), Failure> {
        let (connection, before) = self.take()?;
        let answer = sqlx::raw_sql(sql).execute(connection).await;
        self.settle(before, answer)?;
        self.state = after;
        Ok(())
    }

    fn take(&mut self) -> Result<(&mut MySqlConnection, State), Failure> {
        let before = std::mem::replace(&mut self.state, State::Busy);
        match self.connection.as_deref_mut() {
            Some(connection) if before != State::Busy => Ok((connection, before)),
            _ => Err(Failure::Undecided("the connection is lost".into())),
        }
    }

    /// An answer of the server's own, an error too, leaves the connection as it was.
    fn settle<T>(&mut self, before: State, answer: Result<T, sqlx::Error>) -> Result<T, Failure> {
        if matches!(answer, Ok(_) | Err(sqlx::Error::Database(_))) {
            self.state = before;
        }
        answer.map_err(Failure::from)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        match (self.state, Handle::try_current()) {
            (State::Idle, _) => drop(connection),
            (State::Open, Ok(runtime)) => {
                runtime.spawn(async move {
                    let undone = sqlx::raw_sql("ROLLBACK").execute(&mut *connection);
                    if !matches!(timeout(ROLL_BACK_WITHIN, undone).await, Ok(Ok(_))) {
                        drop(connection.detach());
                    }
                });
            }
            (State::Open | State::Busy, _) => drop(connection.detach()),
        }
    }
}
