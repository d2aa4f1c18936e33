//! Calls: what their failures mean, and how they are repeated.
//!
//! A key that is there already is an answer. A deadlock, a lock that is held for too long, a lost connection or a server
//! that is away decides nothing: the whole try is repeated on a connection that was tested, after a pause, a few times
//! and for a few seconds at most, and then the caller gets [`Error::Unavailable`].
//!
//! What becomes of a transaction whose commit got no answer, nobody knows. So whatever cannot simply be done twice is
//! written together with a random [`token`] that the call keeps across its tries: a try that finds its own token finds
//! its own work. The token is never derived from the order: another call that does the same is another call.

use std::{error::Error as StdError, future::Future};

use sqlx::mysql::MySqlDatabaseError;
use tokio::time::timeout;
use tracing::Instrument;

use super::{MySqlStore, session::Session};
use crate::{Error, backoff::Backoff};

/// A row of this key is there.
const DUPLICATE: u16 = 1062;

/// What servers answer when they could not decide now: they are starting, stopping, read-only or full, the session or the
/// statement was killed, rows are locked, the tables are still to be made.
///
/// Sources: "Server Error Message Reference" of `MySQL` 8.0, "`MariaDB` Error Code Reference".
const UNDECIDED: [u16; 44] = [
    1020, 1021, 1037, 1038, 1040, 1041, 1043, 1044, 1045, 1047, 1049, 1053, 1077, 1079, 1080, 1114,
    1129, 1142, 1146, 1152, 1158, 1159, 1160, 1161, 1180, 1184, 1189, 1190, 1203, 1205, 1213, 1226,
    1290, 1317, 1461, 1615, 1637, 1792, 1836, 1927, 1969, 3024, 3169, 4031,
];

/// A random number that tells one call's work from another's.
pub(super) fn token() -> [u8; 16] {
    rand::random()
}

/// Why one try did not do what it was for.
#[derive(Debug)]
pub(super) enum Failure {
    /// A row of this key is there.
    Duplicate,
    /// Nothing is known; it can be repeated.
    Undecided(Box<dyn StdError + Send + Sync>),
    /// The server refuses it, or what is there cannot be read: a defect.
    Refused(String),
    /// A cursor that is none.
    Cursor,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let number = match &error {
            sqlx::Error::Database(answer) => answer
                .try_downcast_ref::<MySqlDatabaseError>()
                .map(MySqlDatabaseError::number),
            _ => None,
        };
        match number {
            Some(DUPLICATE) => Self::Duplicate,
            Some(number) if UNDECIDED.contains(&number) => Self::Undecided(Box::new(error)),
            // Never the message: it may quote what was sent.
            Some(number) => Self::Refused(format!("the server answers {number}")),
            None => match error {
                sqlx::Error::Encode(_) | sqlx::Error::Configuration(_) => {
                    Self::Refused("a statement that cannot be sent".into())
                }
                lost => Self::Undecided(Box::new(lost)),
            },
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(source) => Self::Undecided(source),
            Error::Corrupt(what) => Self::Refused(what),
            Error::Cursor => Self::Cursor,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Undecided(source) => Self::Unavailable(source),
            Failure::Refused(reason) => Self::Corrupt(reason),
            Failure::Duplicate => Self::Corrupt("a key is there already".into()),
            Failure::Cursor => Self::Cursor,
        }
    }
}

impl MySqlStore {
    /// Tries `work` until something is decided. It is told which try it is, from 1. `name` is what operators see.
    pub(super) async fn call<T, Work, Done>(
        &self,
        name: &'static str,
        work: Work,
    ) -> Result<T, Error>
    where
        Work: Fn(Session, u32) -> Done + Send + Sync,
        Done: Future<Output = Result<T, Failure>> + Send,
    {
        let mut backoff = Backoff::patient_for(self.patience.total);
        loop {
            match self.attempt(name, backoff.tries(), &work).await {
                Err(Failure::Undecided(error)) => {
                    tracing::debug!(call = name, tries = backoff.tries(), %error, "the store did not decide");
                    if !backoff.pause().await {
                        return Err(Error::Unavailable(error));
                    }
                }
                decided => return decided.map_err(Error::from),
            }
        }
    }

    /// One try, measured, which ends in time.
    pub(super) async fn attempt<T, Work, Done>(
        &self,
        name: &'static str,
        tries: u32,
        work: &Work,
    ) -> Result<T, Failure>
    where
        Work: Fn(Session, u32) -> Done + Send + Sync,
        Done: Future<Output = Result<T, Failure>> + Send,
    {
        let begun = observe::STORE.begin();
        let span = tracing::debug_span!(
            target: observe::SPANS, "store", otel.name = name, otel.kind = "client",
        );
        // Boxed: the futures of statements are large, and callers are many.
        let work = Box::pin(async {
            let session = self.session(tries > 1).await?;
            work(session, tries).await
        });
        let answer = timeout(self.patience.answer, work.instrument(span)).await;
        let answer = answer.unwrap_or_else(|_| Err(Failure::Undecided("no answer in time".into())));
        let outcome = match &answer {
            Ok(_) => "ok",
            Err(Failure::Undecided(_)) => "failed",
            Err(_) => "refused",
        };
        observe::STORE.end(begun, [&name, &outcome]);
        answer
    }

    /// A connection; one that answers, if that was `doubted`. After a restart of the server every connection in the pool
    /// is dead, so the dead are left out here rather than tried one by one.
    async fn session(&self, doubted: bool) -> Result<Session, Failure> {
        loop {
            let mut session = Session::new(self.pool.acquire().await?);
            if !doubted || session.answers().await {
                return Ok(session);
            }
        }
    }
}
