//! Accounts: `user#USER` holds the account, `name#NAME` makes its name unique. Both are written in one transaction.

use std::collections::HashSet;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::{User, UserId, Username};

use super::{
    DynamoStore,
    call::Reason,
    item::{Item, Row, item, json, number, optional, text, time},
    listing::{After, Listing},
    request::{Change, Changed, put_if_absent},
    tables::{SHARDS, USERS},
};
use crate::{
    Error, Page, Users,
    backoff::Backoff,
    cursor::{cut, page_size, part, parts},
};

/// How many accounts one transaction adds: two items each, and a transaction has at most 100.
const TOGETHER: usize = 50;

fn user_key(id: UserId) -> String {
    format!("user#{id}")
}

/// Where there never is an item.
fn nobody_key(name: &Username) -> String {
    format!("nobody#{name}")
}

fn name_key(name: &Username) -> String {
    format!("name#{name}")
}

/// The partition of the directory: by the id's last byte, which is random.
fn shard(id: UserId) -> u8 {
    id.as_bytes()[15] % SHARDS
}

fn write(user: &User) -> Result<Item, Error> {
    Ok(item([
        ("id", text(user_key(user.id))),
        ("user_id", text(user.id)),
        ("username", text(&user.username)),
        (
            "password_hash",
            optional(user.password_hash.as_ref().map(text)),
        ),
        ("credentials_version", number(user.credentials_version)),
        (
            "display_name",
            optional(user.display_name.as_ref().map(text)),
        ),
        ("attributes", json(USERS, "attributes", &user.attributes)?),
        ("roles", json(USERS, "roles", &user.roles)?),
        ("version", number(user.version)),
        ("created_at", time(user.created_at)),
        ("shard", number(shard(user.id))),
    ]))
}

/// What was written before there was such a number counts as the first.
pub(super) fn credentials_version(row: &Row) -> Result<u64, Error> {
    let version = row.optional("credentials_version", Row::number)?;
    Ok(version.unwrap_or_default())
}

fn read(row: &Row) -> Result<User, Error> {
    Ok(User {
        id: row.word("user_id")?,
        username: row.word("username")?,
        password_hash: row.optional("password_hash", Row::text)?.map(str::to_owned),
        credentials_version: credentials_version(row)?,
        display_name: row.optional("display_name", Row::text)?.map(str::to_owned),
        attributes: row.json("attributes")?,
        roles: row.json("roles")?,
        version: row.number("version")?,
        created_at: row.time("created_at")?,
    })
}

/// The two writes that add an account: its name, then the account.
fn addition(user: &User) -> Result<[TransactWriteItem; 2], Error> {
    let name = item([
        ("id", text(name_key(&user.username))),
        ("user_id", text(user.id)),
    ]);
    Ok([
        put_if_absent(USERS, name)?,
        put_if_absent(USERS, write(user)?)?,
    ])
}

/// Whether the name is taken: `None` while that is not known.
///
/// A name that this very account holds was added by an earlier try whose answer was lost.
fn verdict(user: &User, reasons: &[Reason]) -> Option<bool> {
    match reasons {
        [Reason::Failed(Some(name)), _] if name.get("user_id") == Some(&text(user.id)) => {
            Some(true)
        }
        [Reason::Failed(_), _] | [_, Reason::Failed(_)] => Some(false),
        _ => None,
    }
}

/// The first of `waiting` that can share a transaction: no two have a name or an id in common.
fn together(users: &[User], waiting: &[usize]) -> Vec<usize> {
    let (mut names, mut ids) = (HashSet::new(), HashSet::new());
    let apart =
        |index: &&usize| ids.insert(users[**index].id) && names.insert(&users[**index].username);
    waiting
        .iter()
        .take_while(apart)
        .take(TOGETHER)
        .copied()
        .collect()
}

impl DynamoStore {
    /// Tries to add these accounts at once; what came to be known of each.
    async fn add_together(
        &self,
        users: &[User],
        batch: &[usize],
    ) -> Result<Vec<(usize, bool)>, Error> {
        let additions: Result<Vec<_>, _> =
            batch.iter().map(|index| addition(&users[*index])).collect();
        let weigh = |reasons: Vec<Reason>| {
            let of_each = batch.iter().zip(reasons.chunks(2));
            let known = of_each
                .filter_map(|(index, reasons)| Some((*index, verdict(&users[*index], reasons)?)));
            Some(Ok(known.collect()))
        };
        let known = self
            .transact(additions?.into_iter().flatten().collect(), weigh)
            .await?;
        Ok(known.unwrap_or_else(|| batch.iter().map(|index| (*index, true)).collect()))
    }

    async fn directory(
        &self,
        shard: u8,
        after: Option<After>,
        most: usize,
    ) -> Result<Vec<User>, Error> {
        let listing = Listing::of((USERS, "directory"), ("shard", number(shard)), "id");
        self.list(&listing, after, most)
            .await?
            .iter()
            .map(read)
            .collect()
    }
}

#[async_trait]
impl Users for DynamoStore {
    async fn add_users(&self, users: &[User]) -> Result<Vec<bool>, Error> {
        let mut added = vec![false; users.len()];
        let mut waiting: Vec<usize> = (0..users.len()).collect();
        let mut backoff = Backoff::new();
        while !waiting.is_empty() {
            let batch = together(users, &waiting);
            let known = self.add_together(users, &batch).await?;
            for (index, is_added) in &known {
                added[*index] = *is_added;
            }
            // One name that is taken cancels its neighbours too: they go again without it.
            waiting.retain(|index| !known.iter().any(|(known, _)| known == index));
            if !known.is_empty() {
                backoff.progressed();
            } else if !backoff.pause().await {
                return Err(Error::Unavailable(
                    "accounts are in conflict with other writes".into(),
                ));
            }
        }
        Ok(added)
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, Error> {
        self.get(USERS, &user_key(id))
            .await?
            .map(|row| read(&row))
            .transpose()
    }

    async fn users_by_name(&self, names: &[Username]) -> Result<Vec<Option<User>>, Error> {
        let holders = self
            .get_all(USERS, names.iter().map(name_key).collect())
            .await?;
        let mut keys = Vec::with_capacity(names.len());
        for name in names {
            keys.push(match holders.get(&name_key(name)) {
                Some(row) => user_key(row.word("user_id")?),
                // Looked up all the same: an unknown name takes as many round trips as a known one.
                None => nobody_key(name),
            });
        }
        let users = self.get_all(USERS, keys.clone()).await?;
        let found = keys.iter().map(|key| users.get(key).map(read).transpose());
        found.collect()
    }

    async fn replace_user(&self, user: &User) -> Result<bool, Error> {
        let change = Change {
            table: USERS,
            id: user_key(user.id),
            update: "SET #attributes = :attributes, #roles = :roles, #version = :version, \
                     #password_hash = :password_hash, #credentials_version = :credentials_version, \
                     #display_name = :display_name",
            only_if: "#version = :was",
            values: vec![
                (":was", number(user.version.saturating_sub(1))),
                (":version", number(user.version)),
                (":attributes", json(USERS, "attributes", &user.attributes)?),
                (":roles", json(USERS, "roles", &user.roles)?),
                (
                    ":password_hash",
                    optional(user.password_hash.as_ref().map(text)),
                ),
                (":credentials_version", number(user.credentials_version)),
                (
                    ":display_name",
                    optional(user.display_name.as_ref().map(text)),
                ),
            ],
        };
        match self.change(change).await? {
            Changed::Done(_) => Ok(true),
            Changed::Refused {
                found: Some(row),
                perhaps_ours: true,
            } => Ok(read(&row)? == *user),
            Changed::Refused { .. } => Ok(false),
        }
    }

    async fn users_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<User>, Error> {
        let (first, mut after) = match cursor {
            None => (0, None),
            Some(cursor) => {
                let [shard, id] = parts("users", cursor)?;
                let id = user_key(part(id)?);
                (
                    part(shard)?,
                    Some(After {
                        sort: text(&id),
                        id,
                    }),
                )
            }
        };
        if first >= SHARDS {
            return Err(Error::Cursor);
        }
        let size = page_size(limit);
        let mut users = Vec::new();
        for shard in first..SHARDS {
            users.extend(
                self.directory(shard, after.take(), size + 1 - users.len())
                    .await?,
            );
            if users.len() > size {
                break;
            }
        }
        Ok(cut(users, size, |last| {
            format!("users.{}.{}", shard(last.id), last.id)
        }))
    }
}
