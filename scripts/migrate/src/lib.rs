//! Prepares a store: its tables, and the first admin. Run it as often as you like, from wherever you like, also at once:
//! what is there stays as it is.
//!
//! On Kubernetes it is a Job, which is applied with every new version of Spike.

mod admin;

use std::sync::Arc;

use anyhow::Context;
use domain::{Timestamp, Username};
use store::Store;
use url::Url;

pub use admin::{AdminError, First, add_admin, new_admin};

/// What is to be there afterwards.
pub struct Options {
    /// The store.
    pub store_url: Url,
    /// The name of the first admin.
    pub username: Username,
    /// Their first password: hashed, and not looked at again once the account is there.
    pub password: runtime::env::Secret,
}

/// Makes what is missing. Says whether the admin is new.
pub async fn run(options: &Options, now: Timestamp) -> anyhow::Result<First> {
    let prepared = store::prepare(&options.store_url).await;
    let store: Arc<dyn Store> = prepared.context("the store of STORE_URL cannot be prepared")?;
    let password = options.password.expose();
    let added = add_admin(&*store, &options.username, password, now).await;
    added.context("there is no admin of the name ADMIN_USERNAME")
}

#[cfg(test)]
mod tests;
