//! What the measured functions work with: Redis, store, keys, buyers and sales.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use auth::{Authenticator, Caller, KeySet, PathTokens, SigningKey};
use domain::{Clock, Gate, Money, OrderId, OrderPlaced, Spike, SpikeId, Timestamp, UserId};
use events::{EventSink, SendError};
use http::HeaderValue;
use local::{data::Data, engine::Engine, redis::Redis};
use race::client::Request;
use spike::{AppState, Rates};
use stock::{Config, Load, Loaded, Stock, Supply};
use store::{DynamoStore, Store};

/// For whom and by whom tokens are made.
pub(crate) const ISSUER: &str = "http://localhost";
/// The key of path tokens.
pub(crate) const PATH_TOKEN_KEY: &str = "a key for benchmarks, of 32 bytes or more";

/// Everything behind the functions.
pub(crate) struct Parts {
    /// The stock.
    pub(crate) stock: Stock,
    /// Redis itself.
    pub(crate) redis: Redis,
    /// The durable store.
    pub(crate) store: Arc<DynamoStore>,
    /// The engine of the store.
    pub(crate) engine: Engine,
    /// Signs access tokens.
    pub(crate) key: Arc<SigningKey>,
    _data: Data,
    _folder: tempfile::TempDir,
}

/// Somebody with an access token.
#[derive(Clone)]
pub(crate) struct Buyer {
    pub(crate) user_id: UserId,
    pub(crate) bearer: HeaderValue,
}

/// Acknowledges every event at once.
pub(crate) struct AckAtOnce;

#[async_trait]
impl EventSink for AckAtOnce {
    async fn send(&self, events: &[OrderPlaced]) -> Vec<Result<(), SendError>> {
        events.iter().map(|_| Ok(())).collect()
    }
}

impl Parts {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = Data::open(folder.path())?;
        let (redis, engine) =
            tokio::try_join!(Redis::start(&data), async { Engine::start(&data, 0) })?;
        let stock = Stock::connect(&redis.url()?, runtime::clock::system()).await?;
        // Redis would rewrite its file in the midst of one side's measurement, and not of the other's.
        let client = redis::Client::open(redis.url()?.as_str().replacen("redis+unix", "unix", 1))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let () = redis::cmd("CONFIG")
            .arg(&["SET", "auto-aof-rewrite-percentage", "0"])
            .query_async(&mut connection)
            .await?;
        Ok(Self {
            stock,
            redis,
            store: Arc::new(engine.connect().await?),
            engine,
            key: Arc::new(SigningKey::from_pem(&SigningKey::generate_pem()?, ISSUER)?),
            _data: data,
            _folder: folder,
        })
    }

    /// Ends Redis and the engine.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.redis.stop().await?;
        self.engine.stop().await
    }

    /// The public keys, as `ACCESS_TOKEN_KEYS` takes them.
    pub(crate) fn keys(&self) -> anyhow::Result<String> {
        let keys = vec![self.key.jwk()];
        Ok(serde_json::to_string(&KeySet { keys })?)
    }

    /// A fresh instance of `spike`, its bucket off, its sink one that acknowledges at once.
    pub(crate) fn spike(&self) -> anyhow::Result<axum::Router> {
        let verifier = Authenticator::new(&self.keys()?, ISSUER, self.stock.clock())?.verifier;
        let state = AppState::new(spike::Parts {
            stock: self.stock.clone(),
            store: self.store.clone(),
            sink: Arc::new(AckAtOnce),
            verifier,
            path_tokens: PathTokens::new(PATH_TOKEN_KEY.as_bytes())?,
            clock: runtime::clock::system(),
            random: Arc::new(auth::random),
            rates: Rates {
                burst_per_unit: 0,
                refill_per_unit: 0,
            }
            .into(),
        });
        Ok(spike::router(state))
    }

    /// A sale of `units` that is open now, in the store and in Redis.
    pub(crate) async fn sale(&self, units: u32) -> anyhow::Result<Spike> {
        self.sale_in(&*self.store, units).await
    }

    /// The same, in another store than that of `local`.
    pub(crate) async fn sale_in(&self, store: &dyn Store, units: u32) -> anyhow::Result<Spike> {
        let spike = opened(units, self.stock.now())?;
        ensure!(store.add_spike(&spike).await?, "a spike's id is taken");
        let load = Load {
            config: Config::of(&spike),
            top: units,
            epoch: 1,
            supply: Supply::Untouched,
        };
        let lock = self.stock.lock_loading(spike.id).await?;
        let lock = lock.context("somebody else loads the sale")?;
        ensure!(
            self.stock.load(&load, &lock).await? == Loaded::Filled,
            "the sale is loaded already"
        );
        Ok(spike)
    }

    /// Buyers with a token each, signed on all cores.
    pub(crate) async fn buyers(&self, count: usize) -> anyhow::Result<Vec<Buyer>> {
        signed(&self.key, self.stock.now(), count).await
    }

    /// The order of each buyer.
    pub(crate) fn orders(
        &self,
        spike_id: SpikeId,
        buyers: &[Buyer],
    ) -> anyhow::Result<Vec<Request>> {
        let tokens = PathTokens::new(PATH_TOKEN_KEY.as_bytes())?;
        let now = self.stock.now();
        let orders = buyers.iter().map(|buyer| {
            let token = tokens.token(spike_id, buyer.user_id, now);
            Request::post(format!("/spikes/{spike_id}/orders/{token}"))
                .bearer(&buyer.bearer)
                .body("application/json", r#"{"quantity":1}"#)
        });
        Ok(orders.collect())
    }

    /// Events of orders that nobody has written yet.
    pub(crate) fn events(&self, spike_id: SpikeId, first: u32, count: u32) -> Vec<OrderPlaced> {
        let clock: Clock = self.stock.clock();
        (first..first + count)
            .map(|unit| OrderPlaced {
                order_id: OrderId::mint(clock(), auth::random()),
                spike_id,
                user_id: UserId::mint(clock(), auth::random()),
                units: std::iter::once(unit).collect(),
            })
            .collect()
    }
}

/// A sale of `units` that is open now.
pub(crate) fn opened(units: u32, now: Timestamp) -> anyhow::Result<Spike> {
    let id = SpikeId::mint(now, auth::random());
    let settings = domain::spike::Settings {
        name: "Bench".to_owned(),
        description: String::new(),
        stock: units,
        limit_per_user: 1,
        price: Money {
            amount_minor: 4900,
            currency: "EUR".parse()?,
        },
        starts_at: now - Duration::from_mins(1),
        ends_at: now + Duration::from_hours(1),
        pay_within_secs: 900,
        rules: Vec::new(),
        expected_buyers: None,
    };
    let spike = Spike::new(id, settings, now);
    ensure!(spike.gate() == Gate::Open, "the sale is not open");
    Ok(spike)
}

/// Buyers with a token each, signed on all cores.
pub(crate) async fn signed(
    key: &Arc<SigningKey>,
    now: Timestamp,
    count: usize,
) -> anyhow::Result<Vec<Buyer>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let each = count.div_ceil(cores);
    let signing = (0..cores).map(|_| {
        let key = Arc::clone(key);
        tokio::task::spawn_blocking(move || (0..each).map(|_| buyer(&key, now)).collect())
    });
    let signed = futures::future::try_join_all(signing).await?;
    let signed: anyhow::Result<Vec<Vec<Buyer>>> = signed.into_iter().collect();
    let mut buyers: Vec<Buyer> = signed?.into_iter().flatten().collect();
    buyers.truncate(count);
    Ok(buyers)
}

fn buyer(key: &SigningKey, now: Timestamp) -> anyhow::Result<Buyer> {
    let user_id = UserId::mint(now, auth::random());
    let roles = Vec::new();
    let token = key.sign(&Caller { user_id, roles }, now)?;
    Ok(Buyer {
        user_id,
        bearer: race::api::bearer(&token)?,
    })
}
