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
}

/// The store that `url` names: `dynamodb+http://HOST:PORT` is a `DynamoDB` endpoint without TLS.
///
/// Nothing is sent: a store that is away is noticed by the first call, and a function can start without it. Adapters whose
/// protocol begins with a handshake will wait here.
pub async fn connect(url: &Url) -> Result<Arc<dyn Store>, ConnectError> {
    match url.scheme() {
        #[cfg(feature = "dynamodb")]
        "dynamodb+http" => Ok(Arc::new(crate::DynamoStore::connect(url)?)),
        other => Err(ConnectError::Scheme(other.to_owned())),
    }
}
