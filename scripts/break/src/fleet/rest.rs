//! Where not every function is a process of its own: the others, in this process.

use std::{pin::pin, sync::Arc};

use auth::{KeySet, PathTokens, SigningKey};
use local::functions::{self, Parts};
use stock::Stock;
use store::Store;

use super::cast::PATH_TOKEN_KEY;

/// The functions that no scenario kills, in this process: accounts, keys and the list of spikes.
pub(super) struct Rest {
    pub(super) key: Arc<SigningKey>,
    pub(super) redis: u16,
    pub(super) events: u16,
    pub(super) store: Arc<dyn Store>,
}

impl Rest {
    pub(super) async fn serve(self) -> anyhow::Result<u16> {
        let clock = runtime::clock::system();
        let stock_url = format!("redis://127.0.0.1:{}/", self.redis).parse()?;
        let parts = Parts {
            store: self.store,
            stock: Stock::connect(&stock_url, clock.clone()).await?,
            payments: Arc::new(payments::TestMode::new(clock.clone())),
            clock,
            keys: KeySet {
                keys: vec![self.key.jwk()],
            },
            signing_key: self.key,
            path_tokens: PathTokens::new(PATH_TOKEN_KEY.as_bytes())?,
            rates: spike::Rates::default().into(),
        };
        let sink = events::connect(&format!("http://127.0.0.1:{}/", self.events).parse()?).await?;
        let app = runtime::app(functions::public(&parts, sink)?);
        let listener = local::listen(0)?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            let never = pin!(std::future::pending());
            runtime::server::serve_on(listener, app, runtime::Limits::default(), never).await
        });
        Ok(port)
    }
}
