//! Refresh tokens and failed logins.
//!
//! The row of a family is locked by whoever rotates or revokes one of its tokens, so that these come one after the other.
//! Rows that have expired are of no use to anybody; now and then a call that has nothing to do with them deletes some. A
//! family that is gone counts as revoked.

use std::time::Duration;

use async_trait::async_trait;
use domain::{Timestamp, UserId, Username};
use sqlx::mysql::MySqlRow;

use super::{
    MySqlStore,
    call::{Failure, token},
    row::Row,
    session::{Session as Connection, Statement},
};
use crate::{Error, LoginAttempts, Rotation, Session, Sessions};

/// The tables.
const TOKENS: &str = "session_tokens";
const FAMILIES: &str = "session_families";
const ATTEMPTS: &str = "login_attempts";

/// For how long a failed login counts.
const ATTEMPTS_COUNT_FOR: Duration = Duration::from_hours(24);
/// One call of so many deletes what has expired.
const TIDIES: u8 = 16;

const BY_HASH: &str = "SELECT token_hash, family, user_id, credentials_version, expires_at, spent_by \
     FROM session_tokens WHERE token_hash = ?";
const ADD_TOKEN: &str = "INSERT INTO session_tokens (token_hash, family, user_id, credentials_version, expires_at) \
     VALUES (?, ?, ?, ?, ?)";
const ADD_FAMILY: &str = "INSERT INTO session_families (family, expires_at) VALUES (?, ?)";
const LOCK_FAMILY: &str =
    "SELECT expires_at, revoked_by FROM session_families WHERE family = ? FOR UPDATE";
const PROLONG: &str =
    "UPDATE session_families SET expires_at = GREATEST(expires_at, ?) WHERE family = ?";
const REVOKE: &str =
    "UPDATE session_families SET revoked_by = ? WHERE family = ? AND revoked_by = ''";
const SPEND: &str = "UPDATE session_tokens SET spent_by = ? WHERE token_hash = ?";
const FAILURES: &str = "SELECT failures, last_failed_at FROM login_attempts WHERE username = ?";
const COUNT: &str = "UPDATE login_attempts SET failures = ?, last_failed_at = ? \
     WHERE username = ? AND failures = ? AND last_failed_at = ?";
const COUNT_ANEW: &str = "UPDATE login_attempts SET failures = 1, last_failed_at = ? \
     WHERE username = ? AND last_failed_at <= ?";
const COUNT_FIRST: &str =
    "INSERT INTO login_attempts (username, failures, last_failed_at) VALUES (?, 1, ?)";

/// What is of no use any more, by its index; a few rows, so that nobody waits for it.
const TIDY_SESSIONS: [&str; 2] = [
    "DELETE FROM session_tokens WHERE expires_at <= ? ORDER BY expires_at LIMIT 100",
    "DELETE FROM session_families WHERE expires_at <= ? ORDER BY expires_at LIMIT 100",
];
const TIDY_ATTEMPTS: [&str; 1] =
    ["DELETE FROM login_attempts WHERE last_failed_at <= ? ORDER BY last_failed_at LIMIT 100"];

/// A token, and the call that spent it, if one has.
struct Token {
    session: Session,
    spent_by: Vec<u8>,
}

fn read(row: &MySqlRow) -> Result<Token, Error> {
    let row = Row::new(TOKENS, row);
    Ok(Token {
        session: Session {
            token_hash: row.text("token_hash")?.to_owned(),
            family: row.text("family")?.to_owned(),
            user_id: UserId::from_bytes(row.id("user_id")?),
            credentials_version: row.number("credentials_version")?,
            expires_at: row.time("expires_at")?,
        },
        spent_by: row.bytes("spent_by")?.to_vec(),
    })
}

async fn find(connection: &mut Connection, token_hash: &str) -> Result<Option<Token>, Failure> {
    let by_hash = sqlx::query(BY_HASH).bind(token_hash.as_bytes());
    let row = connection.row(by_hash).await?;
    Ok(row.map(|row| read(&row)).transpose()?)
}

fn addition(session: &Session) -> Statement<'static> {
    sqlx::query(ADD_TOKEN)
        .bind(session.token_hash.as_bytes().to_vec())
        .bind(session.family.as_bytes().to_vec())
        .bind(session.user_id.as_bytes().to_vec())
        .bind(session.credentials_version)
        .bind(session.expires_at.as_millis())
}

fn already_there() -> Failure {
    Failure::Refused(format!("{TOKENS}.token_hash: a new token is there already"))
}

/// Locks the family until the end of the transaction; who revoked it, empty if nobody has, none if it is gone.
async fn lock(connection: &mut Connection, family: &str) -> Result<Option<Vec<u8>>, Failure> {
    let lock = sqlx::query(LOCK_FAMILY).bind(family.as_bytes());
    let row = connection.row(lock).await?;
    let revoked_by = row.map(|row| Ok(Row::new(FAMILIES, &row).bytes("revoked_by")?.to_vec()));
    revoked_by.transpose()
}

/// Rotates inside an open transaction; the answer, and whether there is something to commit.
async fn rotate(
    connection: &mut Connection,
    token: &Session,
    next: &Session,
    call: &[u8],
) -> Result<(Rotation, bool), Failure> {
    let revoked_by = lock(connection, &token.family).await?;
    let Some(spent_by) = find(connection, &token.token_hash)
        .await?
        .map(|token| token.spent_by)
    else {
        return Ok((Rotation::Unknown, false));
    };
    if spent_by == call {
        return Ok((Rotation::Rotated, false));
    }
    match revoked_by.as_deref() {
        Some([]) => {}
        // By an earlier try of this call, whose answer was lost.
        Some(by) if by == call => return Ok((Rotation::Reused(token.user_id), false)),
        Some(_) | None => return Ok((Rotation::Revoked, false)),
    }
    if !spent_by.is_empty() {
        let revoke = sqlx::query(REVOKE).bind(call).bind(token.family.as_bytes());
        connection.change(revoke).await?;
        return Ok((Rotation::Reused(token.user_id), true));
    }
    let spend = sqlx::query(SPEND).bind(call);
    connection
        .change(spend.bind(token.token_hash.as_bytes()))
        .await?;
    let prolong = sqlx::query(PROLONG).bind(next.expires_at.as_millis());
    connection
        .change(prolong.bind(token.family.as_bytes()))
        .await?;
    match connection.execute(addition(next)).await {
        Err(Failure::Duplicate) => Err(already_there()),
        added => added.map(|_| (Rotation::Rotated, true)),
    }
}

impl MySqlStore {
    /// Deletes some of what had expired a day before `then`, once in a while. Whoever called is not to notice, nor somebody
    /// whose clock is behind.
    async fn tidy(&self, statements: &'static [&'static str], then: Timestamp) {
        if rand::random::<u8>().is_multiple_of(TIDIES) {
            self.tidy_now(statements, then - Duration::from_hours(24))
                .await;
        }
    }

    /// All of it, without drawing lots.
    #[cfg(test)]
    pub(super) async fn tidy_everything(&self, then: Timestamp) {
        self.tidy_now(&TIDY_SESSIONS, then).await;
        self.tidy_now(&TIDY_ATTEMPTS, then).await;
    }

    async fn tidy_now(&self, statements: &'static [&'static str], then: Timestamp) {
        let work = |mut connection: Connection, _| async move {
            for statement in statements {
                let delete = sqlx::query(*statement).bind(then.as_millis());
                connection.change(delete).await?;
            }
            Ok(())
        };
        let tidied = self.attempt("sessions.tidy", 1, &work);
        if let Err(failure) = tidied.await {
            tracing::debug!(?failure, "expired sessions stay for now");
        }
    }
}

#[async_trait]
impl Sessions for MySqlStore {
    async fn open_session(&self, session: &Session) -> Result<(), Error> {
        self.call("sessions.open", |mut connection, tries| async move {
            connection.begin().await?;
            let family = sqlx::query(ADD_FAMILY).bind(session.family.as_bytes());
            let mut added = connection
                .execute(family.bind(session.expires_at.as_millis()))
                .await;
            if added.is_ok() {
                added = connection.execute(addition(session)).await;
            }
            match added {
                Ok(_) => return connection.commit().await,
                Err(Failure::Duplicate) => connection.roll_back().await?,
                Err(failure) => return Err(failure),
            }
            // Its hash is random: if it is there, an earlier try of this call wrote it, and the answer was lost.
            match find(&mut connection, &session.token_hash).await? {
                Some(found) if tries > 1 && found.session == *session => Ok(()),
                _ => Err(already_there()),
            }
        })
        .await
    }

    async fn session(&self, token_hash: &str, now: Timestamp) -> Result<Option<Session>, Error> {
        let found = self.call("sessions.get", |mut connection, _| async move {
            find(&mut connection, token_hash).await
        });
        let session = found.await?.map(|token| token.session);
        Ok(session.filter(|session| session.expires_at > now))
    }

    async fn rotate_session(
        &self,
        token_hash: &str,
        next: &Session,
        now: Timestamp,
    ) -> Result<Rotation, Error> {
        let call = token();
        let call = &call[..];
        let rotation = self.call("sessions.rotate", |mut connection, _| async move {
            let Some(token) = find(&mut connection, token_hash).await? else {
                return Ok(Rotation::Unknown);
            };
            let token = token.session;
            if token.expires_at <= now {
                return Ok(Rotation::Unknown);
            }
            if (&next.family, next.user_id) != (&token.family, token.user_id) {
                return Err(Failure::Refused(
                    "a session's successor is of another family or user".into(),
                ));
            }
            connection.begin().await?;
            let (rotation, is_written) = rotate(&mut connection, &token, next, call).await?;
            if is_written {
                connection.commit().await?;
            } else {
                connection.roll_back().await?;
            }
            Ok(rotation)
        });
        let rotation = rotation.await?;
        self.tidy(&TIDY_SESSIONS, now).await;
        Ok(rotation)
    }

    async fn revoke_session(&self, token_hash: &str, _now: Timestamp) -> Result<(), Error> {
        let call = token();
        let call = &call[..];
        self.call("sessions.revoke", |mut connection, _| async move {
            if let Some(token) = find(&mut connection, token_hash).await? {
                let revoke = sqlx::query(REVOKE).bind(call);
                let revoke = revoke.bind(token.session.family.as_bytes());
                connection.change(revoke).await?;
            }
            Ok(())
        })
        .await
    }

    async fn login_attempts(
        &self,
        name: &Username,
        now: Timestamp,
    ) -> Result<LoginAttempts, Error> {
        let row = self.call("sessions.attempts", |mut connection, _| async move {
            connection
                .row(sqlx::query(FAILURES).bind(name.as_str().as_bytes()))
                .await
        });
        let Some(row) = row.await? else {
            return Ok(LoginAttempts::default());
        };
        let row = Row::new(ATTEMPTS, &row);
        let last_failed_at = row.time("last_failed_at")?;
        if last_failed_at <= now - ATTEMPTS_COUNT_FOR {
            return Ok(LoginAttempts::default());
        }
        Ok(LoginAttempts {
            failures: row.small("failures")?,
            last_failed_at: Some(last_failed_at),
        })
    }

    async fn count_failed_login(
        &self,
        name: &Username,
        seen: LoginAttempts,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let old = now - ATTEMPTS_COUNT_FOR;
        let counted = self.call("sessions.count_failure", |mut connection, _| async move {
            let name = name.as_str().as_bytes();
            let now = now.as_millis();
            if let Some(at) = seen.last_failed_at {
                let count = sqlx::query(COUNT).bind(seen.failures.saturating_add(1));
                let count = count.bind(now).bind(name).bind(seen.failures);
                return Ok(connection.change(count.bind(at.as_millis())).await? > 0);
            }
            let anew = sqlx::query(COUNT_ANEW).bind(now).bind(name);
            if connection.change(anew.bind(old.as_millis())).await? > 0 {
                return Ok(true);
            }
            let first = sqlx::query(COUNT_FIRST).bind(name);
            match connection.execute(first.bind(now)).await {
                Ok(_) => Ok(true),
                Err(Failure::Duplicate) => Ok(false),
                Err(failure) => Err(failure),
            }
        });
        let counted = counted.await?;
        self.tidy(&TIDY_ATTEMPTS, old).await;
        Ok(counted)
    }

    async fn clear_failed_logins(&self, name: &Username) -> Result<(), Error> {
        self.call("sessions.clear_failures", |mut connection, _| async move {
            let clear = sqlx::query("DELETE FROM login_attempts WHERE username = ?");
            let clear = clear.bind(name.as_str().as_bytes());
            connection.change(clear).await.map(drop)
        })
        .await
    }
}
