//! Writes the entries of an import, some at a time.

use domain::{User, UserId, Username};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Map;

use super::{BadLine, Entry, FAILURES_MAX, Failure, Imported, Member};
use crate::{AppState, Error};

/// How many entries are looked up and created together.
const TOGETHER: usize = 50;
/// How many accounts are amended at the same time.
const AMENDED_AT_ONCE: usize = 8;
/// How often an amendment is tried again because others changed the account meanwhile.
const TRIES: usize = 5;

/// Entries that wait for their turn, and what came of those before.
pub(super) struct Batch<'a> {
    app: &'a AppState,
    waiting: Vec<(u64, Entry)>,
    imported: Imported,
}

/// What came of one entry.
enum Written {
    Created(UserId),
    Amended(UserId),
    Contended,
}

impl<'a> Batch<'a> {
    pub(super) fn new(app: &'a AppState) -> Self {
        Self {
            app,
            waiting: Vec::with_capacity(TOGETHER),
            imported: Imported::default(),
        }
    }

    /// Notes a line that is left out.
    pub(super) fn fail(&mut self, line: u64, bad: BadLine) {
        self.imported.failed_total += 1;
        if self.imported.failed.len() < FAILURES_MAX {
            self.imported.failed.push(Failure {
                line,
                problem: bad.to_string(),
            });
        }
    }

    /// Takes one more entry, and writes those that wait when there are enough of them.
    pub(super) async fn add(&mut self, line: u64, entry: Entry) -> Result<(), Error> {
        // A name comes once in a batch, so that a later line amends what an earlier one made.
        let doubled = self
            .waiting
            .iter()
            .any(|(_, waiting)| waiting.username == entry.username);
        if doubled {
            self.write().await?;
        }
        self.waiting.push((line, entry));
        if self.waiting.len() == TOGETHER {
            self.write().await
        } else {
            Ok(())
        }
    }

    /// Writes what still waits.
    pub(super) async fn finish(mut self) -> Result<Imported, Error> {
        self.write().await?;
        Ok(self.imported)
    }

    async fn write(&mut self) -> Result<(), Error> {
        let batch = std::mem::take(&mut self.waiting);
        let names: Vec<Username> = batch
            .iter()
            .map(|(_, entry)| entry.username.clone())
            .collect();
        let known = self.app.store.users_by_name(&names).await?;
        let made = self.create(&batch, &known).await?;
        let app = self.app;
        let waiting = stream::iter(batch.into_iter().zip(known).zip(made));
        let settled = waiting.map(|(((line, entry), known), made)| async move {
            let written = match made {
                Some(id) => Written::Created(id),
                None => settle(app, known, &entry).await?,
            };
            Ok::<_, Error>((line, entry.username, written))
        });
        let settled: Vec<_> = settled.buffered(AMENDED_AT_ONCE).try_collect().await?;
        for (line, username, written) in settled {
            self.note(line, username, &written);
        }
        Ok(())
    }

    /// Adds accounts for the names that are not known; the ids of those that were added.
    async fn create(
        &self,
        batch: &[(u64, Entry)],
        known: &[Option<User>],
    ) -> Result<Vec<Option<UserId>>, Error> {
        let absent = |((_, entry), known): (&(u64, Entry), &Option<User>)| {
            known.is_none().then(|| self.account(entry))
        };
        let wanted: Vec<Option<User>> = batch.iter().zip(known).map(absent).collect();
        let users: Vec<User> = wanted.iter().flatten().cloned().collect();
        let mut added = self.app.store.add_users(&users).await?.into_iter();
        let id = |user: &Option<User>| {
            user.as_ref()
                .filter(|_| added.next() == Some(true))
                .map(|user| user.id)
        };
        Ok(wanted.iter().map(id).collect())
    }

    fn account(&self, entry: &Entry) -> User {
        let now = (self.app.clock)();
        let empty = User {
            id: UserId::mint(now, auth::random()),
            username: entry.username.clone(),
            password_hash: None,
            credentials_version: 1,
            display_name: None,
            attributes: Map::new(),
            roles: Vec::new(),
            version: 1,
            created_at: now,
        };
        entry.amended(&empty)
    }

    fn note(&mut self, line: u64, username: Username, written: &Written) {
        let user_id = match written {
            Written::Created(id) => {
                self.imported.created += 1;
                *id
            }
            Written::Amended(id) => {
                self.imported.amended += 1;
                *id
            }
            Written::Contended => return self.fail(line, BadLine::Contended),
        };
        self.imported.users.push(Member { username, user_id });
    }
}

impl Entry {
    /// The account with what this entry gives.
    fn amended(&self, user: &User) -> User {
        let mut user = user.clone();
        if let Some(attributes) = &self.attributes {
            user.attributes.clone_from(attributes);
        }
        if let Some(roles) = &self.roles {
            user.roles.clone_from(roles);
        }
        if let Some(hash) = &self.password_hash
            && user.password_hash != *hash
        {
            user.password_hash.clone_from(hash);
            user.credentials_version += 1;
        }
        user.display_name = self.display_name.clone().or(user.display_name);
        user
    }
}

/// Amends the account; one that was not known a moment ago has been made by somebody else since.
async fn settle(app: &AppState, known: Option<User>, entry: &Entry) -> Result<Written, Error> {
    let mut user = known;
    if user.is_none() {
        let name = std::slice::from_ref(&entry.username);
        user = app
            .store
            .users_by_name(name)
            .await?
            .into_iter()
            .flatten()
            .next();
    }
    match user {
        Some(user) => amend(app, user, entry).await,
        None => Ok(Written::Contended),
    }
}

/// Replaces what the entry gives. An account that is as the entry wants it keeps its version.
async fn amend(app: &AppState, mut user: User, entry: &Entry) -> Result<Written, Error> {
    for _ in 0..TRIES {
        let mut wanted = entry.amended(&user);
        if wanted == user {
            return Ok(Written::Amended(user.id));
        }
        wanted.version += 1;
        if app.store.replace_user(&wanted).await? {
            return Ok(Written::Amended(user.id));
        }
        user = app.store.user(user.id).await?.ok_or(Error::Unknown)?;
    }
    Ok(Written::Contended)
}
