//! Accounts, sessions and dead letters: what purchases need of them, and all that the port promises.

use std::time::Duration;

use async_trait::async_trait;
use domain::{Timestamp, User, UserId, Username};
use store::{
    DeadLetter, DeadLetters, Error, LoginAttempts, Page, Rotation, Session, Sessions, Users,
};

use super::{MemoryStore, page};

/// How long failed logins are remembered.
const REMEMBERED: Duration = Duration::from_hours(24);

#[async_trait]
impl Users for MemoryStore {
    async fn add_users(&self, users: &[User]) -> Result<Vec<bool>, Error> {
        self.step(
            || "add users".to_owned(),
            |state| {
                let mut added = Vec::new();
                for user in users {
                    let named = state.names.get(&user.username).copied();
                    let there = state.users.contains_key(&user.id);
                    let new = named.is_none() && !there;
                    if new {
                        state.names.insert(user.username.clone(), user.id);
                        state.users.insert(user.id, user.clone());
                    }
                    added.push(new || named == Some(user.id));
                }
                Ok(added)
            },
        )
        .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, Error> {
        self.step(
            || "user".to_owned(),
            |state| Ok(state.users.get(&id).cloned()),
        )
        .await
    }

    async fn users_by_name(&self, names: &[Username]) -> Result<Vec<Option<User>>, Error> {
        self.step(
            || "users by name".to_owned(),
            |state| {
                let user = |name| state.users.get(state.names.get(name)?).cloned();
                Ok(names.iter().map(user).collect())
            },
        )
        .await
    }

    async fn replace_user(&self, user: &User) -> Result<bool, Error> {
        self.step(
            || "replace user".to_owned(),
            |state| {
                let Some(stored) = state.users.get_mut(&user.id) else {
                    return Ok(false);
                };
                let seen = stored.version + 1 == user.version;
                if seen {
                    *stored = User {
                        username: stored.username.clone(),
                        created_at: stored.created_at,
                        ..user.clone()
                    };
                }
                Ok(seen)
            },
        )
        .await
    }

    async fn users_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<User>, Error> {
        self.step(
            || "users".to_owned(),
            |state| {
                let users: Vec<User> = state.users.values().cloned().collect();
                page(&users, cursor, limit)
            },
        )
        .await
    }
}

#[async_trait]
impl Sessions for MemoryStore {
    async fn open_session(&self, session: &Session) -> Result<(), Error> {
        self.step(
            || "open session".to_owned(),
            |state| {
                let hash = session.token_hash.clone();
                if state.sessions.contains_key(&hash) || state.revoked.contains_key(&session.family)
                {
                    return Err(Error::Corrupt("a session twice".to_owned()));
                }
                state.revoked.insert(session.family.clone(), false);
                state.sessions.insert(hash, (session.clone(), false));
                Ok(())
            },
        )
        .await
    }

    async fn session(&self, token_hash: &str, now: Timestamp) -> Result<Option<Session>, Error> {
        self.step(
            || "session".to_owned(),
            |state| {
                let session = state.sessions.get(token_hash).map(|(session, _)| session);
                Ok(session.filter(|it| it.expires_at > now).cloned())
            },
        )
        .await
    }

    async fn rotate_session(
        &self,
        token_hash: &str,
        next: &Session,
        now: Timestamp,
    ) -> Result<Rotation, Error> {
        self.step(
            || "rotate session".to_owned(),
            |state| {
                let found = state.sessions.get_mut(token_hash);
                let Some((session, spent)) = found.filter(|(it, _)| it.expires_at > now) else {
                    return Ok(Rotation::Unknown);
                };
                if session.family != next.family || session.user_id != next.user_id {
                    return Err(Error::Corrupt("another family".to_owned()));
                }
                let revoked = state.revoked.entry(next.family.clone()).or_default();
                if *revoked {
                    return Ok(Rotation::Revoked);
                }
                if *spent {
                    *revoked = true;
                    return Ok(Rotation::Reused(session.user_id));
                }
                *spent = true;
                state
                    .sessions
                    .insert(next.token_hash.clone(), (next.clone(), false));
                Ok(Rotation::Rotated)
            },
        )
        .await
    }

    async fn revoke_session(&self, token_hash: &str, now: Timestamp) -> Result<(), Error> {
        self.step(
            || "revoke session".to_owned(),
            |state| {
                if let Some((session, _)) = state.sessions.get(token_hash)
                    && session.expires_at > now
                {
                    state.revoked.insert(session.family.clone(), true);
                }
                Ok(())
            },
        )
        .await
    }

    async fn login_attempts(
        &self,
        name: &Username,
        now: Timestamp,
    ) -> Result<LoginAttempts, Error> {
        self.step(
            || "login attempts".to_owned(),
            |state| {
                let attempts = state.attempts.get(name).copied().unwrap_or_default();
                let recent = |at: &Timestamp| now.since(*at) < REMEMBERED;
                Ok(match attempts.last_failed_at.filter(recent) {
                    Some(_) => attempts,
                    None => LoginAttempts::default(),
                })
            },
        )
        .await
    }

    async fn count_failed_login(
        &self,
        name: &Username,
        seen: LoginAttempts,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.step(
            || "count failed login".to_owned(),
            |state| {
                let stored = state.attempts.entry(name.clone()).or_default();
                let lapsed = stored
                    .last_failed_at
                    .is_some_and(|at| now.since(at) >= REMEMBERED);
                let current = if lapsed { 0 } else { stored.failures };
                if current != seen.failures {
                    return Ok(false);
                }
                *stored = LoginAttempts {
                    failures: current + 1,
                    last_failed_at: Some(now),
                };
                Ok(true)
            },
        )
        .await
    }

    async fn clear_failed_logins(&self, name: &Username) -> Result<(), Error> {
        self.step(
            || "clear failed logins".to_owned(),
            |state| {
                state.attempts.remove(name);
                Ok(())
            },
        )
        .await
    }
}

#[async_trait]
impl DeadLetters for MemoryStore {
    async fn add_dead_letter(&self, letter: &DeadLetter) -> Result<(), Error> {
        self.step(
            || "add dead letter".to_owned(),
            |state| {
                let new = || (letter.clone(), letter.received_at);
                let (kept, came_at) = state.letters.entry(letter.id.clone()).or_insert_with(new);
                *came_at = letter.received_at;
                if kept.redriven_at.take().is_some() {
                    kept.reason.clone_from(&letter.reason);
                }
                Ok(())
            },
        )
        .await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, Error> {
        self.step(
            || "dead letter".to_owned(),
            |state| Ok(state.letters.get(id).map(|(letter, _)| letter.clone())),
        )
        .await
    }

    async fn dead_letters_page(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<DeadLetter>, Error> {
        self.step(
            || "dead letters".to_owned(),
            |state| {
                let mut letters: Vec<DeadLetter> = state
                    .letters
                    .values()
                    .map(|(letter, _)| letter.clone())
                    .collect();
                letters.sort_by_key(|it| std::cmp::Reverse((it.received_at, it.id.clone())));
                page(&letters, cursor, limit)
            },
        )
        .await
    }

    async fn mark_redriven(&self, id: &str, sent_at: Timestamp) -> Result<bool, Error> {
        self.step(
            || "mark redriven".to_owned(),
            |state| {
                let Some((letter, came_at)) = state.letters.get_mut(id) else {
                    return Ok(false);
                };
                let sent = *came_at <= sent_at;
                if sent {
                    letter.redriven_at = Some(sent_at);
                }
                Ok(sent)
            },
        )
        .await
    }
}
