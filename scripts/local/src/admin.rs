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
    /// Finds the account or makes it, and sees to it that it is an admin's and that the password in the data directory
    /// opens it.
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
                let restored = restored(&user, &password, &passwords).await?;
                if restored != user {
                    replace(store, restored).await?;
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
    let user = migrate::new_admin(username, hash, now);
    let added = store.add_users(std::slice::from_ref(&user)).await;
    let added = added.context("cannot make the admin's account")?;
    ensure!(
        added == [true],
        "somebody else has just made the admin's account"
    );
    Ok(user.id)
}

/// The account as it has to be.
async fn restored(user: &User, password: &str, passwords: &Passwords) -> anyhow::Result<User> {
    let mut restored = user.clone();
    if !passwords
        .verify(password, user.password_hash.as_deref())
        .await?
    {
        restored.password_hash = Some(passwords.hash(password).await?);
        restored.credentials_version += 1;
    }
    if !user.roles.contains(&Role::Admin) {
        restored.roles.push(Role::Admin);
    }
    Ok(restored)
}

async fn replace(store: &dyn store::Store, user: User) -> anyhow::Result<()> {
    let version = user.version + 1;
    let replaced = store.replace_user(&User { version, ..user }).await;
    let replaced = replaced.context("cannot change the admin's account")?;
    ensure!(
        replaced,
        "somebody else has just changed the admin's account"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    #[tokio::test]
    async fn an_account_that_was_changed_is_an_admins_with_our_password_again() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path()).unwrap();
        let engine = Engine::start(&data, 0).unwrap();
        let store = engine.connect().await.unwrap();
        let now = Timestamp::from_millis(1);
        let made = Admin::open(&data, &store, now).await.unwrap();

        let account = async || {
            let user = store::Users::user(&store, made.user_id).await;
            user.unwrap().unwrap()
        };
        let first = account().await;
        replace(
            &store,
            User {
                password_hash: None,
                roles: Vec::new(),
                ..first
            },
        )
        .await
        .unwrap();
        let again = Admin::open(&data, &store, now).await.unwrap();
        assert_eq!(
            (again.user_id, &again.password),
            (made.user_id, &made.password)
        );
        let user = account().await;
        assert_eq!(user.roles, [Role::Admin]);
        assert_eq!(user.credentials_version, 2, "older sessions have ended");
        let hash = user.password_hash.as_deref();
        assert!(
            Passwords::new(1)
                .verify(&made.password, hash)
                .await
                .unwrap()
        );

        Admin::open(&data, &store, now).await.unwrap();
        assert_eq!(account().await, user, "what is right is left alone");
        engine.stop().await.unwrap();
    }
}
