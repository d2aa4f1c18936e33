//! Who buys: accounts made by the bulk import, and their access tokens.

use std::{collections::HashMap, path::Path, sync::Arc};

use anyhow::Context as _;
use auth::{Caller, Passwords, SigningKey};
use domain::{Timestamp, UserId};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::HeaderValue;
use serde::Deserialize;
use serde_json::json;

use crate::{
    admin::{self, Admin},
    api::{self, ServerClock},
    client::{Client, Request},
    progress::Progress,
    tokens::{Session, TokenFile},
};

/// Accounts in one call of the import: far below its 5 MiB, so that it says how far it is.
const CHUNK: usize = 1000;
/// Calls of the import at the same time.
const CONCURRENT_IMPORTS: usize = 2;
/// Logins at the same time; each makes the server hash a password.
const CONCURRENT_LOGINS: usize = 8;
/// Logins after which the token file is written.
const LOGINS_PER_SAVE: usize = 500;

/// Somebody who buys.
#[derive(Debug, Clone)]
pub struct Buyer {
    /// The account's name.
    pub username: String,
    /// The `Authorization` header.
    pub bearer: HeaderValue,
}

/// The name of buyer `index`.
fn username(index: usize) -> String {
    format!("race-{:06}", index + 1)
}

/// `count` buyers whose tokens this process signs itself with the system's key in the file `key`.
pub async fn signed(
    client: &Client,
    admin: &Admin<'_>,
    clock: ServerClock,
    key: &Path,
    count: usize,
    progress: &Progress,
) -> anyhow::Result<Vec<Buyer>> {
    let pem = std::fs::read_to_string(key).with_context(|| key.display().to_string())?;
    let key = Arc::new(SigningKey::from_pem(&pem, &issuer(client).await?)?);
    let names: Vec<String> = (0..count).map(username).collect();
    let ids = import(admin, &names, None, progress).await?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let chunks = names.chunks(count.div_ceil(workers).max(1));
    let signing = chunks.map(|names| {
        let users: Vec<(String, UserId)> =
            names.iter().map(|name| (name.clone(), ids[name])).collect();
        let (key, now) = (Arc::clone(&key), clock.now());
        tokio::task::spawn_blocking(move || sign(&key, users, now))
    });
    let signed = futures::future::try_join_all(signing).await?;
    let signed: anyhow::Result<Vec<Vec<Buyer>>> = signed.into_iter().collect();
    Ok(signed?.into_iter().flatten().collect())
}

fn sign(
    key: &SigningKey,
    users: Vec<(String, UserId)>,
    now: Timestamp,
) -> anyhow::Result<Vec<Buyer>> {
    let buyers = users.into_iter().map(|(username, user_id)| {
        let roles = Vec::new();
        let token = key.sign(&Caller { user_id, roles }, now)?;
        let bearer = api::bearer(&token)?;
        Ok(Buyer { username, bearer })
    });
    buyers.collect()
}

/// The issuer that the system expects in its tokens.
async fn issuer(client: &Client) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Configuration {
        issuer: String,
    }
    let path = "/.well-known/openid-configuration";
    let answer = client.send(&Request::get(path)).await?.success(path)?;
    Ok(answer.json::<Configuration>()?.issuer)
}

/// `count` buyers who log in; the file `tokens` keeps their tokens from run to run.
pub async fn logged_in(
    client: &Client,
    admin: &Admin<'_>,
    clock: ServerClock,
    tokens: &Path,
    count: usize,
    progress: &Progress,
) -> anyhow::Result<Vec<Buyer>> {
    let mut file = TokenFile::open(tokens)?;
    let names: Vec<String> = (0..count).map(username).collect();
    let stale: Vec<String> = names
        .iter()
        .filter(|name| !file.has_current(name, clock.now()))
        .cloned()
        .collect();
    // Renewing costs the server no hash; those whose refresh token has ended too log in below.
    for chunk in stale.chunks(LOGINS_PER_SAVE) {
        let renewals = stream::iter(chunk).map(|name| renew(client, clock, name, file.get(name)));
        let renewed: Vec<_> = renewals.buffer_unordered(32).try_collect().await?;
        file.extend(renewed.into_iter().flatten())?;
        progress.say(&format!("renewed the tokens of {} buyers", file.len()));
    }
    let absent: Vec<String> = stale
        .into_iter()
        .filter(|name| !file.has_current(name, clock.now()))
        .collect();
    if !absent.is_empty() {
        log_in(client, admin, clock, &absent, &mut file, progress).await?;
    }
    let buyers = names.into_iter().map(|username| {
        let session = file.get(&username).context("a buyer without a token")?;
        let bearer = api::bearer(&session.access_token)?;
        Ok(Buyer { username, bearer })
    });
    buyers.collect()
}

/// Gives all of `names` one new password, which is hashed once, and logs them in.
async fn log_in(
    client: &Client,
    admin: &Admin<'_>,
    clock: ServerClock,
    names: &[String],
    file: &mut TokenFile,
    progress: &Progress,
) -> anyhow::Result<()> {
    let password = auth::refresh_token::mint().text;
    let hash = Passwords::new(1).hash(&password).await?;
    import(admin, names, Some(&hash), progress).await?;
    for (index, chunk) in names.chunks(LOGINS_PER_SAVE).enumerate() {
        let logins = stream::iter(chunk).map(|name| async {
            let tokens = admin::login(client, name, &password).await?;
            anyhow::Ok((name.clone(), Session::new(tokens, clock.now())))
        });
        let sessions: Vec<_> = logins
            .buffer_unordered(CONCURRENT_LOGINS)
            .try_collect()
            .await?;
        file.extend(sessions)?;
        let done = index * LOGINS_PER_SAVE + chunk.len();
        progress.say(&format!("logged in {done} of {} buyers", names.len()));
    }
    Ok(())
}

/// A new session for an old one; `None` if there was none or it cannot be renewed.
async fn renew(
    client: &Client,
    clock: ServerClock,
    name: &str,
    session: Option<&Session>,
) -> anyhow::Result<Option<(String, Session)>> {
    let Some(session) = session else {
        return Ok(None);
    };
    let body = json!({ "refresh_token": session.refresh_token });
    let answer = client
        .send(&Request::post("/users/refresh").json(&body))
        .await?;
    if !answer.status.is_success() {
        return Ok(None);
    }
    Ok(Some((
        name.to_owned(),
        Session::new(answer.json()?, clock.now()),
    )))
}

/// Creates or amends the accounts and answers with their ids.
async fn import(
    admin: &Admin<'_>,
    names: &[String],
    password_hash: Option<&str>,
    progress: &Progress,
) -> anyhow::Result<HashMap<String, UserId>> {
    let calls = stream::iter(names.chunks(CHUNK)).map(|chunk| {
        let lines: Vec<String> = chunk
            .iter()
            .map(|username| match password_hash {
                Some(hash) => json!({ "username": username, "password_hash": hash }).to_string(),
                None => json!({ "username": username }).to_string(),
            })
            .collect();
        admin.import(lines.join("\n") + "\n")
    });
    let mut calls = calls.buffer_unordered(CONCURRENT_IMPORTS);
    let mut ids = HashMap::new();
    while let Some(imported) = calls.next().await {
        let users = imported?.users.into_iter();
        ids.extend(users.map(|user| (user.username, user.user_id)));
        progress.say(&format!("imported {} of {} buyers", ids.len(), names.len()));
    }
    let missing = names.iter().find(|name| !ids.contains_key(*name));
    match missing {
        Some(name) => anyhow::bail!("the import says nothing about {name}"),
        None => Ok(ids),
    }
}
