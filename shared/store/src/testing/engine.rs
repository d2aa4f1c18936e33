//! The embedded engine, in memory, behind its own port.

use std::sync::Arc;

use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

use crate::{DynamoStore, Store};

/// Keeps the engine running; dropping it ends the engine.
#[derive(Debug)]
pub struct Guard {
    url: Url,
    task: JoinHandle<()>,
}

impl Guard {
    /// What `STORE_URL` would name: other processes can connect to it too.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A fresh store with its tables, on a free loopback port.
///
/// # Panics
/// When the engine does not start: there is nothing to test then.
pub async fn store() -> (Arc<dyn Store>, Guard) {
    let (store, guard) = dynamo_store().await;
    (Arc::new(store), guard)
}

#[expect(clippy::expect_used, reason = "a test without its store cannot go on")]
pub(crate) async fn dynamo_store() -> (DynamoStore, Guard) {
    let engine = dynoxide::Database::memory().expect("an engine in memory");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("the port").port();
    let task = tokio::spawn(dynoxide::server::serve_on(listener, engine));
    let url = format!("dynamodb+http://127.0.0.1:{port}")
        .parse()
        .expect("a URL");
    let store = DynamoStore::connect(&url).expect("an address");
    store.create_tables().await.expect("tables");
    (store, Guard { url, task })
}
