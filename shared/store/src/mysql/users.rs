//! Accounts. The name is a unique key, so the account and its name are one row.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use domain::{User, UserId, Username};
use sqlx::{MySql, QueryBuilder, mysql::MySqlRow};

use super::{
    MySqlStore,
    call::Failure,
    row::{Row, json},
    session::Session,
};
use crate::{
    Error, Page, Users,
    backoff::Backoff,
    cursor::{cut, more_than, page_size, part, parts},
};

/// The table.
const USERS: &str = "users";
/// How many accounts one statement adds.
const TOGETHER: usize = 50;
/// How many names one statement asks for.
const NAMES: usize = 500;

macro_rules! columns {
    () => {
        "id, username, password_hash, credentials_version, display_name, attributes, roles, version, created_at"
    };
}

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM users WHERE id = ?");
const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM users WHERE id > ? ORDER BY id LIMIT ?"
);
const REPLACE: &str = "UPDATE users SET attributes = ?, roles = ?, version = ?, password_hash = ?, \
     credentials_version = ?, display_name = ? WHERE id = ? AND version = ?";

fn read(row: &MySqlRow) -> Result<User, Error> {
    let row = Row::new(USERS, row);
    Ok(User {
        id: UserId::from_bytes(row.id("id")?),
        username: row.word("username")?,
        password_hash: row.optional("password_hash", Row::text)?.map(str::to_owned),
        credentials_version: row.number("credentials_version")?,
        display_name: row.optional("display_name", Row::text)?.map(str::to_owned),
        attributes: row.json("attributes")?,
        roles: row.json("roles")?,
        version: row.number("version")?,
        created_at: row.time("created_at")?,
    })
}

/// Adds accounts whose ids and names must be free, in the order of their names: two who want the same wait for each other
/// and not in a circle. One statement is a transaction by itself.
async fn insert(session: &mut Session, mut users: Vec<&User>) -> Result<(), Failure> {
    users.sort_unstable_by_key(|user| &user.username);
    let mut insert =
        QueryBuilder::<MySql>::new(concat!("INSERT INTO users (", columns!(), ") VALUES "));
    for (index, user) in users.into_iter().enumerate() {
        insert.push(if index == 0 { "(" } else { ", (" });
        insert.push_bind(&user.id.as_bytes()[..]).push(", ");
        insert
            .push_bind(user.username.as_str().as_bytes())
            .push(", ");
        insert.push_bind(user.password_hash.as_deref()).push(", ");
        insert.push_bind(user.credentials_version).push(", ");
        insert.push_bind(user.display_name.as_deref()).push(", ");
        insert
            .push_bind(json(USERS, "attributes", &user.attributes)?)
            .push(", ");
        insert
            .push_bind(json(USERS, "roles", &user.roles)?)
            .push(", ");
        insert.push_bind(user.version).push(", ");
        insert.push_bind(user.created_at.as_millis()).push(")");
    }
    session.execute(insert.build()).await.map(drop)
}

/// Who has these names, and which of these ids there are. Accounts never go away and keep their names.
async fn holders(
    session: &mut Session,
    users: &[&User],
) -> Result<(HashMap<Vec<u8>, UserId>, HashSet<UserId>), Failure> {
    let mut by_name =
        QueryBuilder::<MySql>::new("SELECT id, username FROM users WHERE username IN (");
    let mut by_id = QueryBuilder::<MySql>::new("SELECT id FROM users WHERE id IN (");
    for (index, user) in users.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        by_name
            .push(comma)
            .push_bind(user.username.as_str().as_bytes());
        by_id.push(comma).push_bind(&user.id.as_bytes()[..]);
    }
    let (mut names, mut ids) = (HashMap::new(), HashSet::new());
    for row in session.rows(by_name.push(")").build()).await? {
        let row = Row::new(USERS, &row);
        names.insert(
            row.bytes("username")?.to_vec(),
            UserId::from_bytes(row.id("id")?),
        );
    }
    for row in session.rows(by_id.push(")").build()).await? {
        ids.insert(UserId::from_bytes(Row::new(USERS, &row).id("id")?));
    }
    Ok((names, ids))
}

/// Adds all of them; if one is in the way, what came to be known of each: whether it is there as it was to be added.
async fn add(mut session: Session, users: &[&User]) -> Result<Vec<Option<bool>>, Failure> {
    match insert(&mut session, users.to_vec()).await {
        Ok(()) => return Ok(vec![Some(true); users.len()]),
        Err(Failure::Duplicate) => {}
        Err(failure) => return Err(failure),
    }
    let (names, ids) = holders(&mut session, users).await?;
    let known = users.iter().map(|user| {
        match names.get(user.username.as_str().as_bytes()) {
            // It may be this call's: an earlier try's answer was lost.
            Some(holder) => Some(*holder == user.id),
            None => ids.contains(&user.id).then_some(false),
        }
    });
    Ok(known.collect())
}

/// The first of `waiting` that can share a statement: no two have a name or an id in common.
fn together(users: &[User], waiting: &[usize]) -> Vec<usize> {
    let (mut names, mut ids) = (HashSet::new(), HashSet::new());
    let apart =
        |index: &&usize| ids.insert(users[**index].id) && names.insert(&users[**index].username);
    let apart = waiting.iter().take_while(apart);
    apart.take(TOGETHER).copied().collect()
}

#[async_trait]
impl Users for MySqlStore {
    async fn add_users(&self, users: &[User]) -> Result<Vec<bool>, Error> {
        let mut added = vec![false; users.len()];
        let mut waiting: Vec<usize> = (0..users.len()).collect();
        let mut backoff = Backoff::patient_for(self.patience.total);
        while !waiting.is_empty() {
            let indexes = together(users, &waiting);
            let batch: Vec<&User> = indexes.iter().map(|index| &users[*index]).collect();
            let batch = batch.as_slice();
            let known = self
                .call("users.add", |session, _| add(session, batch))
                .await?;
            let known: HashMap<usize, bool> = indexes
                .into_iter()
                .zip(known)
                .filter_map(|(index, known)| Some((index, known?)))
                .collect();
            for (index, is_added) in &known {
                added[*index] = *is_added;
            }
            // One name that is taken turns its neighbours back too: they go again without it.
            waiting.retain(|index| !known.contains_key(index));
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
        let row = self.call("users.get", |mut session, _| async move {
            let by_id = sqlx::query(BY_ID).bind(id.as_bytes().to_vec());
            session.row(by_id).await
        });
        row.await?.map(|row| read(&row)).transpose()
    }

    async fn users_by_name(&self, names: &[Username]) -> Result<Vec<Option<User>>, Error> {
        let mut found = HashMap::new();
        for names in names.chunks(NAMES) {
            let rows = self.call("users.by_name", |mut session, _| async move {
                let mut select = QueryBuilder::<MySql>::new(concat!(
                    "SELECT ",
                    columns!(),
                    " FROM users WHERE username IN ("
                ));
                for (index, name) in names.iter().enumerate() {
                    select.push(if index == 0 { "" } else { ", " });
                    select.push_bind(name.as_str().as_bytes());
                }
                session.rows(select.push(")").build()).await
            });
            for row in rows.await? {
                let user = read(&row)?;
                found.insert(user.username.clone(), user);
            }
        }
        Ok(names.iter().map(|name| found.get(name).cloned()).collect())
    }

    async fn replace_user(&self, user: &User) -> Result<bool, Error> {
        let attributes = json(USERS, "attributes", &user.attributes)?;
        let roles = json(USERS, "roles", &user.roles)?;
        let (attributes, roles) = (attributes.as_str(), roles.as_str());
        self.call("users.replace", |mut session, tries| async move {
            let replace = sqlx::query(REPLACE).bind(attributes).bind(roles);
            let replace = replace
                .bind(user.version)
                .bind(user.password_hash.as_deref());
            let replace = replace.bind(user.credentials_version);
            let replace = replace.bind(user.display_name.as_deref());
            let replace = replace.bind(user.id.as_bytes().to_vec());
            let replace = replace.bind(user.version.saturating_sub(1));
            let replaced = session.change(replace).await? > 0;
            if replaced || tries == 1 {
                return Ok(replaced);
            }
            // An earlier try may have done it: its answer was lost.
            let by_id = sqlx::query(BY_ID).bind(user.id.as_bytes().to_vec());
            let found = session.row(by_id).await?;
            Ok(found.is_some_and(|row| read(&row).is_ok_and(|found| found == *user)))
        })
        .await
    }

    async fn users_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<User>, Error> {
        let after = match cursor {
            None => Vec::new(),
            Some(cursor) => {
                let [id] = parts("users", cursor)?;
                part::<UserId>(id)?.as_bytes().to_vec()
            }
        };
        let after = after.as_slice();
        let size = page_size(limit);
        let rows = self.call("users.list", |mut session, _| async move {
            let page = sqlx::query(PAGE).bind(after);
            session.rows(page.bind(more_than(size))).await
        });
        let users: Result<Vec<User>, _> = rows.await?.iter().map(read).collect();
        Ok(cut(users?, size, |last| format!("users.{}", last.id)))
    }
}
