//! Who is there before a sale: the admin and the buyers, in a store with all its tables.

use std::{path::Path, sync::Arc};

use anyhow::ensure;
use auth::{Caller, Passwords, SigningKey};
use domain::{Role, User, UserId};
use http::HeaderValue;
use race::{
    api::{self, ServerClock},
    client::Client,
    progress::Progress,
    users::Buyer,
};
use store::Store;
use tokio::time::{Instant, sleep};
use url::Url;

use super::SWEEP_EVERY;
use crate::service::DEADLINE;

const PASSWORD: &str = "a sneaker for each foot";
/// Who buys; each sale takes as many as it needs.
const BUYERS: usize = 400;

/// A client of the store, with all tables there. A store that could not make them in time starts again and goes on.
pub(super) async fn database(url: &Url) -> anyhow::Result<Arc<dyn Store>> {
    let until = Instant::now() + DEADLINE;
    loop {
        match store::prepare(url).await {
            Ok(database) => return Ok(database),
            Err(error) if Instant::now() > until => return Err(error.into()),
            Err(_) => sleep(SWEEP_EVERY).await,
        }
    }
}

/// Makes the buyers' accounts and signs their tokens. On a busy machine a try may get no answer in time; what it has made is
/// amended by the next.
pub(super) async fn buyers(client: &Client, admin: &str, key: &Path) -> anyhow::Result<Vec<Buyer>> {
    let until = Instant::now() + DEADLINE;
    loop {
        match try_buyers(client, admin, key).await {
            Err(_) if Instant::now() < until => sleep(SWEEP_EVERY).await,
            made => return made,
        }
    }
}

async fn try_buyers(client: &Client, admin: &str, key: &Path) -> anyhow::Result<Vec<Buyer>> {
    let admin = race::admin::Admin::login(client, admin).await?;
    let clock = ServerClock::read(client).await?;
    let progress = Progress::new(true);
    race::users::signed(client, &admin, clock, key, BUYERS, &progress).await
}

/// Makes the admin's account; its credentials and its token.
pub(super) async fn administrator(
    store: &dyn Store,
    key: &SigningKey,
) -> anyhow::Result<(String, HeaderValue)> {
    let now = runtime::clock::system()();
    let user = User {
        id: UserId::mint(now, auth::random()),
        username: "admin".parse()?,
        password_hash: Some(Passwords::new(1).hash(PASSWORD).await?),
        credentials_version: 1,
        display_name: None,
        attributes: serde_json::Map::new(),
        roles: vec![Role::Admin],
        version: 1,
        created_at: now,
    };
    let added = store.add_users(std::slice::from_ref(&user)).await?;
    ensure!(added == [true], "there is an admin already");
    let caller = Caller {
        user_id: user.id,
        roles: user.roles,
    };
    let bearer = api::bearer(&key.sign(&caller, now)?)?;
    Ok((format!("admin:{PASSWORD}"), bearer))
}
