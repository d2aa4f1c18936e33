//! The whole system as processes: Redis, store, broker, and each function that a sale needs.

mod cast;
mod tunables;

use std::{
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex as StdMutex},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use auth::{Caller, KeySet, Passwords, PathTokens, SigningKey};
use domain::{Role, User, UserId};
use http::HeaderValue;
use local::functions::{self, Parts};
use race::{
    api::{self, ServerClock},
    client::Client,
    progress::Progress,
    users::Buyer,
};
use stock::Stock;
use store::{DynamoStore, Users as _};
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, RwLock, RwLockWriteGuard},
    time::{Instant, sleep},
};

pub use cast::free_port;
use cast::{Cast, PATH_TOKEN_KEY, Servers, dynamo};
pub use tunables::{Tunables, UNLIMITED};

use crate::{
    gateway::Gateway,
    guard::Guard,
    redis::Redis,
    service::{DEADLINE, Service, lock},
    tap::{self, Tap},
    wire::Wire,
};

const PASSWORD: &str = "a sneaker for each foot";
/// Who buys; each sale takes as many as it needs.
const BUYERS: usize = 400;
const CONNECTIONS: usize = 256;
/// Between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// Everything, running.
pub struct Fleet {
    /// Where the public routes are.
    pub base_url: String,
    /// For the race: `USER:PASSWORD`.
    pub admin: String,
    /// For the race: the key that signs access tokens.
    pub signing_key_file: PathBuf,
    /// The admin's `Authorization`.
    pub admin_bearer: HeaderValue,
    /// Everybody who buys.
    pub buyers: Vec<Buyer>,
    /// Sends what buyers send.
    pub client: Arc<Client>,
    /// What stands in front.
    pub gateway: Arc<Gateway>,
    /// Redis, as it is used at first.
    pub redis: Mutex<Redis>,
    /// The way to Redis of `spike`, `spike-token` and `access-check`.
    pub front_wire: Wire,
    /// The way to Redis of all others.
    pub back_wire: Wire,
    /// In front of the broker.
    pub events: Tap,
    /// In front of `order-writer`, for the broker's deliveries.
    pub deliveries: Tap,
    /// In front of the store.
    pub store_tap: Tap,
    /// The store's process.
    pub store: Service,
    /// The broker's process.
    pub broker: Service,
    /// The functions' processes.
    pub functions: Vec<Service>,
    /// Watches over what is started.
    pub guard: Arc<Guard>,
    /// Where everything is kept.
    pub dir: PathBuf,
    /// The tunables of `spike`.
    pub tunables: Tunables,
    sweeping: Arc<Sweeping>,
    _dir: TempDir,
}

/// How the sweepers are called.
#[derive(Default)]
struct Sweeping {
    /// Held for reading by every sweep.
    turn: RwLock<()>,
    /// What a sweeper answered that it should not.
    defects: StdMutex<Vec<String>>,
}

impl Fleet {
    /// Starts everything from the binaries in a directory; it is ready when this returns.
    pub async fn start(binaries: &Path) -> anyhow::Result<Self> {
        let temporary = tempfile::tempdir()?;
        let dir = temporary.path().canonicalize()?;
        let guard = Arc::new(Guard::start(&dir)?);
        let tunables = Tunables::new(&dir)?;
        let cast = Cast {
            binaries,
            dir: &dir,
            guard: &guard,
            tunables: &tunables,
        };
        let servers = Servers::start(&cast).await?;
        let gateway_port = GatewayPort::reserve()?;
        let base_url = format!("http://127.0.0.1:{}", gateway_port.port);
        let signing_key_file = dir.join("signing-key.pem");
        std::fs::write(&signing_key_file, SigningKey::generate_pem()?)?;
        let pem = std::fs::read_to_string(&signing_key_file)?;
        let key = Arc::new(SigningKey::from_pem(&pem, &base_url)?);

        servers.store.ready().await?;
        let database = Arc::new(database(servers.store_tap.port).await?);
        let functions = cast.functions(&key, &servers).await?;
        let rest = Rest {
            key: Arc::clone(&key),
            redis: servers.back_wire.port,
            events: servers.events.port,
            store: Arc::clone(&database),
        };
        let gateway = Gateway::new(functions.clone(), rest.serve().await?);
        gateway_port.open(Arc::clone(&gateway));

        let admin = administrator(&database, &key).await?;
        let client = Arc::new(Client::new(&base_url, CONNECTIONS)?);
        let buyers = buyers(&client, &admin.0, &signing_key_file).await?;
        let fleet = Self {
            base_url,
            admin: admin.0,
            admin_bearer: admin.1,
            signing_key_file,
            buyers,
            client,
            gateway,
            redis: Mutex::new(servers.redis),
            front_wire: servers.front_wire,
            back_wire: servers.back_wire,
            events: servers.events,
            deliveries: servers.deliveries,
            store_tap: servers.store_tap,
            store: servers.store,
            broker: servers.broker,
            functions,
            guard,
            dir,
            tunables,
            sweeping: Arc::default(),
            _dir: temporary,
        };
        fleet.keep_sweeping()?;
        Ok(fleet)
    }

    /// A function's process.
    ///
    /// # Panics
    ///
    /// If no function has this name.
    #[must_use]
    pub fn function(&self, name: &str) -> &Service {
        let Some(service) = self.functions.iter().find(|it| it.name == name) else {
            panic!("no function is called {name}");
        };
        service
    }

    /// Puts everything back in order, so that what one scenario left is no trouble to the next.
    pub async fn restore(&self) -> anyhow::Result<()> {
        for tap in [&self.events, &self.deliveries, &self.store_tap] {
            tap.set(tap::Mode::Pass);
        }
        for wire in [&self.front_wire, &self.back_wire] {
            wire.delay(Duration::ZERO);
        }
        self.tunables.restore()?;
        for service in self.services() {
            service.ready().await?;
            service.set_clock(0).await?;
            if service.life().armed {
                service.kill().await?;
            }
        }
        Ok(())
    }

    fn services(&self) -> impl Iterator<Item = &Service> {
        self.functions.iter().chain([&self.store, &self.broker])
    }

    /// How often processes were killed so far, by us or by themselves at a failpoint.
    #[must_use]
    pub fn kills(&self) -> u32 {
        let all = self.services().map(Service::life);
        all.map(|life| life.killed + life.aborted + life.drained)
            .sum()
    }

    /// How often each process has ended so far in a way that nobody asked for.
    #[must_use]
    pub fn failed(&self) -> Vec<(&'static str, u32)> {
        let all = self.services();
        all.map(|service| (service.name, service.life().failed))
            .collect()
    }

    /// What sweepers have answered since this was last asked, other than success or that something is away.
    #[must_use]
    pub fn defects(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.sweeping.defects))
    }

    /// Nothing is swept while this is held.
    pub async fn without_sweeps(&self) -> RwLockWriteGuard<'_, ()> {
        self.sweeping.turn.write().await
    }

    /// Both sweepers are called at the same time, again and again.
    fn keep_sweeping(&self) -> anyhow::Result<()> {
        for name in ["sweeper", "second-sweeper"] {
            let service = self.function(name).clone();
            let client = Client::new(&format!("http://127.0.0.1:{}", service.port), 2)?;
            let sweep = race::client::Request::post("/timers/sweep");
            let sweeping = Arc::clone(&self.sweeping);
            tokio::spawn(async move {
                loop {
                    sleep(SWEEP_EVERY).await;
                    let _turn = sweeping.turn.read().await;
                    if !service.life().ready {
                        continue;
                    }
                    // A sweeper that is killed has no answer; the next call is for the next one.
                    if let Ok(answer) = client.send(&sweep).await
                        && !answer.status.is_success()
                        && answer.status.as_u16() != 503
                    {
                        lock(&sweeping.defects).push(answer.outcome());
                    }
                }
            });
        }
        Ok(())
    }
}

/// The gateway's address is known before what is behind it: it is the issuer of the tokens.
struct GatewayPort {
    port: u16,
    gateway: Arc<std::sync::OnceLock<Arc<Gateway>>>,
}

impl GatewayPort {
    fn reserve() -> anyhow::Result<Self> {
        let gateway = Arc::<std::sync::OnceLock<Arc<Gateway>>>::default();
        let serving = Arc::clone(&gateway);
        let handler = move |request| {
            let gateway = serving.get().cloned();
            async move {
                match gateway {
                    Some(gateway) => gateway.answer(request).await,
                    None => Err(tap::Unanswered { refused: true }),
                }
            }
        };
        let port = tap::serve(handler).context("the gateway")?;
        Ok(Self { port, gateway })
    }

    fn open(self, gateway: Arc<Gateway>) {
        // It is opened once.
        let _ = self.gateway.set(gateway);
    }
}

/// The functions that no scenario kills, in this process: accounts, keys and the list of spikes.
struct Rest {
    key: Arc<SigningKey>,
    redis: u16,
    events: u16,
    store: Arc<DynamoStore>,
}

impl Rest {
    async fn serve(self) -> anyhow::Result<u16> {
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
        let sink = events::connect(&format!("http://127.0.0.1:{}/", self.events).parse()?)?;
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

/// A client of the store, with all tables there. A store that could not make them in time starts again and goes on.
async fn database(port: u16) -> anyhow::Result<DynamoStore> {
    let database = DynamoStore::connect(&dynamo(port).parse()?)?;
    let until = Instant::now() + DEADLINE;
    loop {
        match database.create_tables().await {
            Ok(()) => return Ok(database),
            Err(error) if Instant::now() > until => return Err(error.into()),
            Err(_) => sleep(SWEEP_EVERY).await,
        }
    }
}

/// Makes the buyers' accounts and signs their tokens. On a busy machine a try may get no answer in time; what it has made is
/// amended by the next.
async fn buyers(client: &Client, admin: &str, key: &Path) -> anyhow::Result<Vec<Buyer>> {
    let until = Instant::now() + DEADLINE;
    loop {
        match try_buyers(client, admin, key).await {
            Err(_) if Instant::now() < until => sleep(SWEEP_EVERY).await,
            made => return made,
        }
    }
}

async fn try_buyers(client: &Client, admin: &str, key: &Path) -> anyhow::Result<Vec<Buyer>> {
    let admin = race::admin::Admin::login(client, admin).await?;
    let clock = ServerClock::read(client).await?;
    let progress = Progress::new(true);
    race::users::signed(client, &admin, clock, key, BUYERS, &progress).await
}

/// Makes the admin's account; its credentials and its token.
async fn administrator(
    store: &DynamoStore,
    key: &SigningKey,
) -> anyhow::Result<(String, HeaderValue)> {
    let now = runtime::clock::system()();
    let user = User {
        id: UserId::mint(now, auth::random()),
        username: "admin".parse()?,
        password_hash: Some(Passwords::new(1).hash(PASSWORD).await?),
        credentials_version: 1,
        display_name: None,
        attributes: serde_json::Map::new(),
        roles: vec![Role::Admin],
        version: 1,
        created_at: now,
    };
    let added = store.add_users(std::slice::from_ref(&user)).await?;
    ensure!(added == [true], "there is an admin already");
    let caller = Caller {
        user_id: user.id,
        roles: user.roles,
    };
    let bearer = api::bearer(&key.sign(&caller, now)?)?;
    Ok((format!("admin:{PASSWORD}"), bearer))
}
