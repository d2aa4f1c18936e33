//! The account of the operator, who is there from the start.

use anyhow::{Context, ensure};
use auth::Passwords;
use domain::{Role, Timestamp, User, UserId, Username};

use crate::data::{Data, random_text};

const USERNAME: &str = "admin";

/// The operator.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The account.
    pub user_id: UserId,
    /// Its name.
    pub username: String,
    /// Its password, made at the first start and kept in the data directory.
    pub password: String,
}

impl Admin {
    /// Finds the account or makes it, and sees to it that the password in the data directory opens it.
    pub(crate) async fn open(
        data: &Data,
        store: &dyn store::Store,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let credentials = data.secret("admin", || Ok(format!("{USERNAME}:{}\n", random_text())))?;
        let password = credentials.trim_end().strip_prefix("admin:");
        let password = password
            .context("the file `admin` does not say admin:PASSWORD")?
            .to_owned();
        let username: Username = USERNAME.parse()?;
        let passwords = Passwords::new(1);
        let known = store.users_by_name(std::slice::from_ref(&username)).await?;
        let user_id = match known.into_iter().next().flatten() {
            Some(user) => {
                let hash = user.password_hash.as_deref();
                if !passwords.verify(&password, hash).await? {
                    let hash = passwords.hash(&password).await?;
                    change(store, &user, hash).await?;
                }
                user.id
            }
            None => add(store, username, passwords.hash(&password).await?, now).await?,
        };
        Ok(Self {
            user_id,
            username: USERNAME.to_owned(),
            password,
        })
    }
}

async fn add(
    store: &dyn store::Store,
    username: Username,
    hash: String,
    now: Timestamp,
) -> anyhow::Result<UserId> {
    let user = User {
        id: UserId::mint(now, auth::random()),
        username,
        password_hash: Some(hash),
        credentials_version: 1,
        display_name: None,
        attributes: serde_json::Map::new(),
        roles: vec![Role::Admin],
        version: 1,
        created_at: now,
    };
    let added = store.add_users(std::slice::from_ref(&user)).await;
    let added = added.context("cannot make the admin's account")?;
    ensure!(
        added == [true],
        "somebody else has just made the admin's account"
    );
    Ok(user.id)
}

async fn change(store: &dyn store::Store, user: &User, hash: String) -> anyhow::Result<()> {
    let version = user.version + 1;
    let user = User {
        password_hash: Some(hash),
        credentials_version: user.credentials_version + 1,
        version,
        ..user.clone()
    };
    let changed = store.replace_user(&user).await?;
    ensure!(
        changed,
        "somebody else has just changed the admin's account"
    );
    Ok(())
}
