//! The first admin: who lets all others in.

use auth::{Passwords, WeakPassword};
use domain::{Role, Timestamp, User, UserId, Username};
use store::Store;

/// Whether the account is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// It was made now, with the password.
    Made,
    /// It was there, and stays as it is: its password may have been changed since.
    There,
}

/// Why there is no admin of this name.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The account is there, and is not an admin's: whoever registered the name first is not let in by it.
    #[error("an account of this name is there, and it is not an admin's: choose another name")]
    Taken,
    /// The password is too short, too long or too well known.
    #[error("ADMIN_PASSWORD is too weak")]
    Weak(#[source] WeakPassword),
    /// The password cannot be hashed.
    #[error("the password cannot be hashed")]
    Hash(#[source] auth::passwords::Error),
    /// The store gave no answer.
    #[error("the account cannot be read or written")]
    Store(#[from] store::Error),
}

/// A new account of an admin.
#[must_use]
pub fn new_admin(username: Username, password_hash: String, now: Timestamp) -> User {
    User {
        id: UserId::mint(now, auth::random()),
        username,
        password_hash: Some(password_hash),
        credentials_version: 1,
        display_name: None,
        attributes: serde_json::Map::new(),
        roles: vec![Role::Admin],
        version: 1,
        created_at: now,
    }
}

/// Makes the account if there is none of this name. Of many at once one makes it.
pub async fn add_admin(
    store: &dyn Store,
    username: &Username,
    password: &str,
    now: Timestamp,
) -> Result<First, AdminError> {
    if let Some(first) = find(store, username).await? {
        return Ok(first);
    }
    Passwords::check(password, username).map_err(AdminError::Weak)?;
    let hash = Passwords::new(1).hash(password).await;
    let admin = new_admin(username.clone(), hash.map_err(AdminError::Hash)?, now);
    if store.add_users(std::slice::from_ref(&admin)).await? == [true] {
        return Ok(First::Made);
    }
    find(store, username).await?.ok_or(AdminError::Taken)
}

async fn find(store: &dyn Store, username: &Username) -> Result<Option<First>, AdminError> {
    let found = store.users_by_name(std::slice::from_ref(username)).await?;
    match found.into_iter().next().flatten() {
        None => Ok(None),
        Some(user) if user.roles.contains(&Role::Admin) => Ok(Some(First::There)),
        Some(_) => Err(AdminError::Taken),
    }
}
