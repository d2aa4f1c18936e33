//! Chooses the adapter by the scheme of `STORE_URL`.

use std::sync::Arc;

use url::Url;

use crate::Store;

/// The URL names no store that this build can reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No adapter for this scheme is built in.
    #[error("no store for the scheme {0:?} in this build")]
    Scheme(String),
    /// What the adapter cannot use, for instance a missing host or a path.
    #[error("not an address of a store: {0}")]
    Address(&'static str),
    /// The environment does not say whose requests they are, or where the engine is.
    #[cfg(feature = "dynamodb")]
    #[error(transparent)]
    Aws(#[from] aws::EnvironmentError),
}

/// Why the tables of a store are not what they have to be.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The URL names no store.
    #[error(transparent)]
    Address(#[from] ConnectError),
    /// The tables cannot be made.
    #[error("cannot make the tables")]
    Tables(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The store that `url` names: `dynamodb://REGION?prefix=TEXT` is Amazon's `DynamoDB` with tables whose names begin with TEXT,
/// `dynamodb+http://HOST:PORT` (with the same parameter, if need be) an endpoint of it without TLS, and
/// `mysql://USER:PASSWORD@HOST:PORT/DATABASE` a server of `MySQL` or `MariaDB`.
///
/// A store that is away is noticed by the first call, and a function can start without it. An adapter whose protocol begins
/// with a handshake (`MySQL`'s own, and TLS to Amazon) tries that here, for a second at most.
pub async fn connect(url: &Url) -> Result<Arc<dyn Store>, ConnectError> {
    match url.scheme() {
        #[cfg(feature = "dynamodb")]
        "dynamodb" => {
            let store = crate::DynamoStore::connect(url)?;
            store.warm().await;
            Ok(Arc::new(store))
        }
        #[cfg(feature = "dynamodb")]
        "dynamodb+http" => Ok(Arc::new(crate::DynamoStore::connect(url)?)),
        #[cfg(feature = "mysql")]
        "mysql" => Ok(Arc::new(crate::MySqlStore::connect(url).await?)),
        other => Err(ConnectError::Scheme(other.to_owned())),
    }
}

/// The store that `url` names, with all tables as this version needs them. Any number of processes may call it, any number
/// of times: what is there already stays as it is.
pub async fn prepare(url: &Url) -> Result<Arc<dyn Store>, PrepareError> {
    match url.scheme() {
        // On AWS they are Terraform's, with backups and alarms.
        #[cfg(feature = "dynamodb")]
        "dynamodb" => Ok(Arc::new(crate::DynamoStore::connect(url)?)),
        #[cfg(feature = "dynamodb")]
        "dynamodb+http" => {
            let store = crate::DynamoStore::connect(url)?;
            let made = store.create_tables().await;
            made.map_err(|error| PrepareError::Tables(error.into()))?;
            Ok(Arc::new(store))
        }
        #[cfg(feature = "mysql")]
        "mysql" => {
            let store = crate::MySqlStore::connect(url).await?;
            let made = store.migrate().await;
            let made = made.map_err(|error| PrepareError::Tables(error.into()))?;
            tracing::info!(schema.applied = ?made, "the tables are as this version needs them");
            Ok(Arc::new(store))
        }
        other => Err(ConnectError::Scheme(other.to_owned()).into()),
    }
}
