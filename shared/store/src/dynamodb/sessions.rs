//! Refresh tokens and failed logins.
//!
//! `token#HASH` is one token, `family#FAMILY` says whether the tokens of one login are revoked, `attempts#NAME` counts
//! failed logins. Rows end by the table's time to live, which the engine enforces hours late: every read compares
//! `expires_at` itself. A family that is gone counts as revoked.

use std::time::Duration;

use async_trait::async_trait;
use domain::{Timestamp, Username};

use super::{
    DynamoStore,
    call::{Reason, all_decided},
    item::{Item, Row, flag, item, number, text, time},
    request::{Change, Changed, put_if_absent},
    tables::SESSIONS,
    users::credentials_version,
};
use crate::{Error, LoginAttempts, Rotation, Session, Sessions};

/// For how long a failed login counts.
const ATTEMPTS_COUNT_FOR: Duration = Duration::from_hours(24);

fn token_key(hash: &str) -> String {
    format!("token#{hash}")
}

fn family_key(family: &str) -> String {
    format!("family#{family}")
}

fn attempts_key(name: &Username) -> String {
    format!("attempts#{name}")
}

fn write(session: &Session) -> Item {
    item([
        ("id", text(token_key(&session.token_hash))),
        ("token_hash", text(&session.token_hash)),
        ("family", text(&session.family)),
        ("user_id", text(session.user_id)),
        ("credentials_version", number(session.credentials_version)),
        ("expires_at", time(session.expires_at)),
        ("spent", flag(false)),
        ("ttl", number(session.expires_at.as_secs())),
    ])
}

fn read(row: &Row) -> Result<Session, Error> {
    Ok(Session {
        token_hash: row.text("token_hash")?.to_owned(),
        family: row.text("family")?.to_owned(),
        user_id: row.word("user_id")?,
        credentials_version: credentials_version(row)?,
        expires_at: row.time("expires_at")?,
    })
}

fn read_attempts(row: &Row) -> Result<LoginAttempts, Error> {
    Ok(LoginAttempts {
        failures: row.number("failures")?,
        last_failed_at: Some(row.time("last_failed_at")?),
    })
}

impl DynamoStore {
    /// Marks a family as revoked; whether it was not before.
    ///
    /// The mark carries a name for this call, which tells it from another's when the answer to its first try is lost.
    async fn revoke_family(&self, family: &str) -> Result<bool, Error> {
        let call = text(format!("{:032x}", rand::random::<u128>()));
        let change = Change {
            table: SESSIONS,
            id: family_key(family),
            update: "SET #revoked = :true, #revoked_by = :call",
            only_if: "#revoked = :false",
            values: vec![
                (":true", flag(true)),
                (":false", flag(false)),
                (":call", call.clone()),
            ],
        };
        Ok(match self.change(change).await? {
            Changed::Done(_) => true,
            Changed::Refused { found, .. } => {
                found.is_some_and(|family| family.has("revoked_by", &call))
            }
        })
    }

    async fn reused(&self, spent: &Session) -> Result<Rotation, Error> {
        let revoked_now = self.revoke_family(&spent.family).await?;
        Ok(if revoked_now {
            Rotation::Reused(spent.user_id)
        } else {
            Rotation::Revoked
        })
    }

    /// Spends the token and keeps `next`; the first of the reasons against it, if any.
    async fn spend(&self, token: &Session, next: &Session) -> Result<Option<Refusal>, Error> {
        let spend = Change {
            table: SESSIONS,
            id: token_key(&token.token_hash),
            update: "SET #spent = :true",
            only_if: "#spent = :false",
            values: vec![(":true", flag(true)), (":false", flag(false))],
        };
        let prolong = Change {
            table: SESSIONS,
            id: family_key(&token.family),
            update: "SET #ttl = :ttl",
            only_if: "#revoked = :false",
            values: vec![
                (":false", flag(false)),
                (
                    ":ttl",
                    number(next.expires_at.max(token.expires_at).as_secs()),
                ),
            ],
        };
        let items = vec![
            spend.in_transaction()?,
            prolong.in_transaction()?,
            put_if_absent(SESSIONS, write(next))?,
        ];
        let weigh = |reasons: Vec<Reason>| {
            all_decided(&reasons).then_some(())?;
            Some(match reasons.as_slice() {
                [Reason::Failed(Some(_)), ..] => Ok(Refusal::Spent),
                [Reason::Failed(None), ..] => Ok(Refusal::Unknown),
                [_, Reason::Failed(_), _] => Ok(Refusal::Revoked),
                _ => Err(already_there()),
            })
        };
        self.transact(items, weigh).await
    }
}

fn already_there() -> Error {
    Error::Corrupt(format!("{SESSIONS}.id: a new token is there already"))
}

/// Why a token cannot be spent; the first that applies.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    /// It is gone.
    Unknown,
    /// It is spent.
    Spent,
    /// Its family is revoked.
    Revoked,
}

#[async_trait]
impl Sessions for DynamoStore {
    async fn open_session(&self, session: &Session) -> Result<(), Error> {
        let family = item([
            ("id", text(family_key(&session.family))),
            ("revoked", flag(false)),
            ("ttl", number(session.expires_at.as_secs())),
        ]);
        let items = vec![
            put_if_absent(SESSIONS, write(session))?,
            put_if_absent(SESSIONS, family)?,
        ];
        let refused = self.transact(items, |reasons| {
            all_decided(&reasons).then(|| Err::<(), _>(already_there()))
        });
        refused.await.map(drop)
    }

    async fn session(&self, token_hash: &str, now: Timestamp) -> Result<Option<Session>, Error> {
        let row = self.get(SESSIONS, &token_key(token_hash)).await?;
        let session = row.map(|row| read(&row)).transpose()?;
        Ok(session.filter(|session| session.expires_at > now))
    }

    async fn rotate_session(
        &self,
        token_hash: &str,
        next: &Session,
        now: Timestamp,
    ) -> Result<Rotation, Error> {
        let Some(row) = self.get(SESSIONS, &token_key(token_hash)).await? else {
            return Ok(Rotation::Unknown);
        };
        let token = read(&row)?;
        if token.expires_at <= now {
            return Ok(Rotation::Unknown);
        }
        if (&next.family, next.user_id) != (&token.family, token.user_id) {
            return Err(Error::Corrupt(
                "a session's successor is of another family or user".into(),
            ));
        }
        if row.flag("spent")? {
            return self.reused(&token).await;
        }
        match self.spend(&token, next).await? {
            None => Ok(Rotation::Rotated),
            Some(Refusal::Unknown) => Ok(Rotation::Unknown),
            Some(Refusal::Spent) => self.reused(&token).await,
            Some(Refusal::Revoked) => Ok(Rotation::Revoked),
        }
    }

    async fn revoke_session(&self, token_hash: &str, _now: Timestamp) -> Result<(), Error> {
        if let Some(row) = self.get(SESSIONS, &token_key(token_hash)).await? {
            self.revoke_family(row.text("family")?).await?;
        }
        Ok(())
    }

    async fn login_attempts(
        &self,
        name: &Username,
        now: Timestamp,
    ) -> Result<LoginAttempts, Error> {
        let row = self.get(SESSIONS, &attempts_key(name)).await?;
        let attempts = row
            .map(|row| read_attempts(&row))
            .transpose()?
            .unwrap_or_default();
        let counts = attempts
            .last_failed_at
            .is_some_and(|at| at > now - ATTEMPTS_COUNT_FOR);
        Ok(if counts {
            attempts
        } else {
            LoginAttempts::default()
        })
    }

    async fn count_failed_login(
        &self,
        name: &Username,
        seen: LoginAttempts,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut values = vec![
            (":sum", number(seen.failures.saturating_add(1))),
            (":now", time(now)),
            (":ttl", number((now + ATTEMPTS_COUNT_FOR).as_secs())),
        ];
        let only_if = if let Some(at) = seen.last_failed_at {
            values.extend([(":seen", number(seen.failures)), (":at", time(at))]);
            "#failures = :seen AND #last_failed_at = :at"
        } else {
            values.push((":old", time(now - ATTEMPTS_COUNT_FOR)));
            "attribute_not_exists(#id) OR #last_failed_at <= :old"
        };
        let one_more = Change {
            table: SESSIONS,
            id: attempts_key(name),
            update: "SET #last_failed_at = :now, #ttl = :ttl, #failures = :sum",
            only_if,
            values,
        };
        Ok(matches!(self.change(one_more).await?, Changed::Done(_)))
    }

    async fn clear_failed_logins(&self, name: &Username) -> Result<(), Error> {
        let delete = Change {
            table: SESSIONS,
            id: attempts_key(name),
            update: "",
            only_if: "attribute_exists(#id)",
            values: vec![],
        };
        self.delete(delete).await.map(drop)
    }
}
