//! Binary of `dead-letter`: connects what the handlers need, then serves the routes of admins and of the broker.
//!
//! Whatever stands in front sends it `/admin/dead-letters` and what is below, and nothing else: the broker's route is
//! for the inside.

use std::sync::Arc;

use auth::Authenticator;
use dead_letter::AppState;
use runtime::env;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("dead-letter");
    env::read_secrets().await?;
    let clock = runtime::clock::system();
    let keys = env::secret("ACCESS_TOKEN_KEYS")?;
    let issuer = env::optional("ISSUER").unwrap_or_else(|| "http://localhost".to_owned());
    let (store_url, events_url) = (env::url("STORE_URL")?, env::events_url()?);
    let (store, sink) = tokio::join!(store::connect(&store_url), events::connect(&events_url));
    let state = AppState {
        store: store?,
        sink: sink?,
        authenticator: Authenticator::new(keys.expose(), &issuer, Arc::clone(&clock))?,
        clock,
    };
    let broker = dead_letter::events(Arc::clone(&state.store), Arc::clone(&state.clock));
    runtime::serve_events(
        dead_letter::router(state).merge(broker),
        dead_letter::EVENTS,
    )
    .await
}
