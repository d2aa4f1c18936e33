//! All functions over parts that are broken on purpose, for the answers that a sound system never gives.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use auth::{PathTokens, SigningKey};
use domain::{OrderPlaced, Role, Spike, SpikeId, Timestamp, UserId, spike::Settings};
use e2e::client::Client;
use events::{EventSink, SendError};
use local::functions::{self, Parts};
use runtime::{Limits, server};
use serde_json::{Value, json};
use stock::{Stock, testing::Redis};
use store::{Store, testing::Guard};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::stage::{Person, Stage, new_name, now, settings, sign};

/// A server of all public routes, ended when this is dropped.
pub(crate) struct Broken {
    pub(crate) client: Client,
    pub(crate) stock: Stock,
    store: Arc<dyn Store>,
    server: JoinHandle<()>,
    _redis: Redis,
    _engine: Option<Guard>,
}

/// Acknowledges nothing.
struct Silent;

#[async_trait]
impl EventSink for Silent {
    async fn send(&self, events: &[OrderPlaced]) -> Vec<Result<(), SendError>> {
        let refused = |_| Err(SendError::Refused(503));
        events.iter().map(refused).collect()
    }
}

impl Broken {
    /// Somebody loads the sale, and goes on doing so for the next five seconds.
    pub(crate) async fn is_loading(&self, spike: &Spike) {
        let lock = self.stock.lock_loading(spike.id).await.unwrap();
        assert!(lock.is_some(), "somebody else loads it");
    }

    /// Neither the store nor Redis is there any more.
    pub(crate) async fn away(stage: &Stage) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("dynamodb+http://{}", listener.local_addr().unwrap());
        drop(listener);
        let store = store::connect(&url.parse().unwrap()).await.unwrap();
        let mut redis = stock::testing::redis();
        let stock = redis.stock(stock::testing::clock()).await;
        redis.stop();
        Self::serve(stage, store, None, stock, redis).await
    }

    /// Store and Redis are there. But nobody sweeps, the broker acknowledges nothing, and nobody waits for a body.
    pub(crate) async fn mute(stage: &Stage) -> Self {
        let (store, engine) = store::testing::store().await;
        let redis = stock::testing::redis();
        let stock = redis.stock(stock::testing::clock()).await;
        Self::serve(stage, store, Some(engine), stock, redis).await
    }

    #[expect(
        clippy::default_trait_access,
        reason = "the type is a function's, and only `local` depends on functions"
    )]
    async fn serve(
        stage: &Stage,
        store: Arc<dyn Store>,
        engine: Option<Guard>,
        stock: Stock,
        redis: Redis,
    ) -> Self {
        let pem = pem();
        let signing_key = SigningKey::from_pem(pem, auth::testing::ISSUER).unwrap();
        let parts = Parts {
            store: Arc::clone(&store),
            stock: stock.clone(),
            clock: stock::testing::clock(),
            keys: auth::KeySet {
                keys: vec![signing_key.jwk()],
            },
            signing_key: Arc::new(signing_key),
            path_tokens: PathTokens::new(&[7; 32]).unwrap(),
            payments: Arc::new(payments::TestMode::new(stock::testing::clock())),
            rates: Default::default(),
        };
        let limits = Limits {
            body: Duration::from_millis(200),
            ..Limits::default()
        };
        let router = functions::public(&parts, Arc::new(Silent)).unwrap();
        let app = runtime::app::app_with(router, limits.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let served = server::serve_on(listener, app, limits, std::future::pending()).await;
            served.unwrap();
        });
        Self {
            client: stage.client.to(&base_url),
            stock,
            store,
            server,
            _redis: redis,
            _engine: engine,
        }
    }

    /// Somebody with a token that is good here.
    pub(crate) fn person(roles: &[Role]) -> Person {
        let user_id = UserId::mint(now(), auth::random());
        let key = SigningKey::from_pem(pem(), auth::testing::ISSUER).unwrap();
        Person {
            user_id,
            username: new_name(),
            token: sign(&key, user_id, roles),
        }
    }

    /// A path token that is good here.
    pub(crate) fn path_token(&self, person: &Person, spike_id: SpikeId) -> String {
        let path_tokens = PathTokens::new(&[7; 32]).unwrap();
        path_tokens.token(spike_id, person.user_id, self.stock.now())
    }

    /// A spike in the store that is open and not loaded.
    pub(crate) async fn sale(&self, stock: u32) -> Spike {
        self.add(json!({ "stock": stock })).await
    }

    /// A spike in the store that opens later.
    pub(crate) async fn sale_from(&self, starts_at: Timestamp) -> Spike {
        self.add(json!({ "starts_at": starts_at })).await
    }

    async fn add(&self, changes: Value) -> Spike {
        let settings: Settings = serde_json::from_value(settings(changes)).unwrap();
        let spike = Spike::new(SpikeId::mint(now(), auth::random()), settings, now());
        assert!(self.store.add_spike(&spike).await.unwrap());
        spike
    }
}

/// The key that signs tokens here; making one takes a while.
fn pem() -> &'static str {
    static PEM: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| SigningKey::generate_pem().unwrap());
    &PEM
}

impl Drop for Broken {
    fn drop(&mut self) {
        self.server.abort();
    }
}
