//! Starts everything, and ends it so that nothing is lost.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use auth::{Caller, KeySet, PathTokens, SigningKey};
use domain::Role;
use runtime::{App, Live, server};
use stock::Stock;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
    task::JoinHandle,
};

use crate::{
    Admin,
    broker::{Broker, Limits, Subscriber, ingress},
    data::{Data, random_text},
    engine::Engine,
    functions::{self, Parts},
    redis::Redis,
    timer,
};

/// Between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
/// How long the broker may deliver what it holds once nothing new comes. What it cannot is in `pending`.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// What a start can be told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory.
    pub data: PathBuf,
    /// The public port on the loopback address; 0 takes a free one.
    pub port: u16,
    /// Whether to forget what the data directory holds.
    pub reset: bool,
    /// How often buyers may try; it may change.
    pub rates: Live<spike::Rates>,
}

/// Everything, running.
pub struct Local {
    /// Where the public routes are.
    pub base_url: String,
    /// The operator.
    pub admin: Admin,
    /// The file with the key that signs access tokens.
    pub signing_key_file: PathBuf,
    /// The socket of the private routes: events, timers, and the broker's ingress at `/broker`.
    pub private_socket: PathBuf,
    /// The stock.
    pub stock: Stock,
    /// The durable store.
    pub store: Arc<dyn store::Store>,
    /// The broker between them.
    pub broker: Broker,
    /// The public routes, for calls from inside.
    pub app: App,
    signing_key: Arc<SigningKey>,
    tasks: Tasks,
    redis: Redis,
    engine: Engine,
    // Last, so that the directory is unlocked when nothing works on it any more.
    _data: Data,
}

/// What runs on its own until told to stop.
struct Tasks {
    stop_public: watch::Sender<bool>,
    public: JoinHandle<io::Result<()>>,
    stop_private: watch::Sender<bool>,
    private: JoinHandle<io::Result<()>>,
    timer: JoinHandle<()>,
}

/// The secrets of the data directory, and the address for which tokens are signed.
struct Identity {
    base_url: String,
    signing_key: Arc<SigningKey>,
    signing_key_file: PathBuf,
    path_tokens: PathTokens,
}

impl Local {
    /// Starts everything; it is ready when this returns.
    pub async fn start(options: &Options) -> anyhow::Result<Self> {
        let data = Data::open(&options.data)?;
        let listener = crate::listen(options.port)?;
        if options.reset {
            Redis::end_leftover(&data).await?;
            data.reset()?;
        }
        let identity = Identity::open(&data, &listener)?;
        let (redis, engine) =
            tokio::try_join!(Redis::start(&data), async { Engine::start(&data, 0) })?;
        let clock = runtime::clock::system();
        let redis_url = redis.url()?;
        let (stock, store) = tokio::try_join!(
            async {
                Stock::connect(&redis_url, clock.clone())
                    .await
                    .context("cannot reach Redis")
            },
            engine.connect(),
        )?;
        let store: Arc<dyn store::Store> = Arc::new(store);
        let admin = Admin::open(&data, &*store, clock()).await?;
        let parts = Parts {
            store: Arc::clone(&store),
            stock: stock.clone(),
            payments: Arc::new(payments::TestMode::new(Arc::clone(&clock))),
            clock,
            keys: KeySet {
                keys: vec![identity.signing_key.jwk()],
            },
            signing_key: Arc::clone(&identity.signing_key),
            path_tokens: identity.path_tokens,
            rates: options.rates.clone(),
        };
        let broker = broker(&parts);
        let app = runtime::app(functions::public(&parts, Arc::new(broker.clone()))?);
        let private_socket = data.socket("private.sock")?;
        let private = functions::private(&parts, Arc::new(broker.clone()));
        let private = runtime::app(private.merge(ingress(broker.clone(), "/broker")));
        let tasks = Tasks::spawn(listener, app.clone(), socket_at(&private_socket)?, private);
        Ok(Self {
            base_url: identity.base_url,
            admin,
            signing_key_file: identity.signing_key_file,
            signing_key: identity.signing_key,
            private_socket,
            stock,
            store,
            broker,
            app,
            tasks,
            redis,
            engine,
            _data: data,
        })
    }

    /// A valid access token of the admin.
    pub fn admin_token(&self) -> anyhow::Result<String> {
        let caller = Caller {
            user_id: self.admin.user_id,
            roles: vec![Role::Admin],
        };
        Ok(self.signing_key.sign(&caller, self.stock.now())?)
    }

    /// Ends everything in the order in which nothing is lost: no new requests, no sweep, what the broker holds, Redis with
    /// its file written, the store.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Self {
            tasks,
            broker,
            redis,
            engine,
            private_socket,
            _data: data,
            ..
        } = self;
        let _ = tasks.stop_public.send(true);
        tasks.public.await??;
        tasks.timer.await?;
        if !broker.drain(DRAIN_WITHIN).await {
            let held = broker.held_kib();
            tracing::warn!(
                held_kib = held,
                "undelivered events are left to the next start"
            );
        }
        let _ = tasks.stop_private.send(true);
        tasks.private.await??;
        let _ = fs::remove_file(private_socket);
        let (redis, engine) = tokio::join!(redis.stop(), engine.stop());
        drop(data);
        redis.and(engine)
    }
}

impl Identity {
    fn open(data: &Data, listener: &TcpListener) -> anyhow::Result<Self> {
        let base_url = format!("http://{}", listener.local_addr()?);
        let signing_key_file = data.signing_key()?;
        let pem = fs::read_to_string(&signing_key_file);
        let pem = pem.with_context(|| unusable(&signing_key_file))?;
        let signing_key = SigningKey::from_pem(&pem, &base_url);
        let signing_key = signing_key.with_context(|| unusable(&signing_key_file))?;
        let path_token_key = data.secret("path-token.key", || Ok(random_text()))?;
        let path_tokens = PathTokens::new(path_token_key.as_bytes());
        let path_tokens = path_tokens.with_context(|| unusable(&data.file("path-token.key")))?;
        Ok(Self {
            base_url,
            signing_key: Arc::new(signing_key),
            signing_key_file,
            path_tokens,
        })
    }
}

fn unusable(file: &Path) -> String {
    format!("cannot use the key in {}", file.display())
}

fn broker(parts: &Parts) -> Broker {
    let inside = runtime::app(functions::events(parts));
    let subscriber = Subscriber::inside(inside.clone(), "/events/order-placed");
    Broker::new(
        Limits::default(),
        subscriber,
        Subscriber::inside(inside, "/events/dead-letter"),
    )
}

/// The socket of the private routes. Its directory is closed to others; the data directory is ours, so a socket that is
/// there is a stale one.
fn socket_at(path: &Path) -> anyhow::Result<UnixListener> {
    let _ = fs::remove_file(path);
    UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))
}

impl Tasks {
    fn spawn(public: TcpListener, app: App, private: UnixListener, inside: App) -> Self {
        let (stop_public, public_stopped) = watch::channel(false);
        let (stop_private, private_stopped) = watch::channel(false);
        let at_once = runtime::Limits {
            notice: Duration::ZERO,
            ..runtime::Limits::default()
        };
        Self {
            timer: tokio::spawn(timer::run(
                inside.clone(),
                SWEEP_EVERY,
                public_stopped.clone(),
            )),
            public: tokio::spawn(server::serve_on(
                public,
                app,
                runtime::Limits::default(),
                stopped(public_stopped),
            )),
            private: tokio::spawn(server::serve_on(
                private,
                inside,
                at_once,
                stopped(private_stopped),
            )),
            stop_public,
            stop_private,
        }
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error says that whoever would tell us is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests;
