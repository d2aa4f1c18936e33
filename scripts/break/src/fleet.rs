//! The whole system as processes: Redis, store, broker, and each function that a sale needs.

mod cast;
mod people;
mod rest;
mod servers;
mod tunables;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex as StdMutex},
    time::Duration,
};

use auth::SigningKey;
use http::HeaderValue;
use prewarm::testing::Cluster;
use race::{client::Client, users::Buyer};
use tempfile::TempDir;
use tokio::{
    net::UnixListener,
    sync::{Mutex, RwLock, RwLockWriteGuard},
    time::sleep,
};

pub use servers::StoreWay;
pub use tunables::{Tunables, UNLIMITED};

use cast::Cast;
use rest::Rest;
use servers::Servers;

use crate::{
    gateway::{Door, Entry, Gateway},
    guard::Guard,
    redis::Redis,
    service::{Service, lock},
    tap::{self, Tap},
    wire::Wire,
};

const CONNECTIONS: usize = 256;
/// Between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// After which target's way the system is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Target {
    /// The store of `local`, a gateway of our own, and the functions that no scenario kills in this process.
    #[default]
    Local,
    /// `MariaDB`, the project's nginx, and every function as its manifest has it; `prewarm` has a cluster's API to talk to.
    Knative,
}

impl Target {
    /// How the gateway knows whose a request is.
    fn entry(self) -> Entry {
        match self {
            Self::Local => Entry::Public,
            Self::Knative => Entry::Network,
        }
    }
}

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
    pub store_way: StoreWay,
    /// The store's process.
    pub store: Service,
    /// The broker's process.
    pub broker: Service,
    /// The functions' processes.
    pub functions: Vec<Service>,
    /// The process in front of the gateway, where there is one.
    pub nginx: Option<Service>,
    /// Who scales the functions, on the Knative target.
    pub cluster: Option<Cluster>,
    /// Where events and timers are called, on the Knative target.
    pub inside: Door,
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
    /// Starts everything as `local` has it from the binaries in a directory; it is ready when this returns.
    pub async fn start(binaries: &Path) -> anyhow::Result<Self> {
        Self::start_on(Target::Local, binaries).await
    }

    /// Starts everything from the binaries in a directory; it is ready when this returns.
    pub async fn start_on(target: Target, binaries: &Path) -> anyhow::Result<Self> {
        let temporary = tempfile::tempdir()?;
        let dir = temporary.path().canonicalize()?;
        let guard = Arc::new(Guard::start(&dir)?);
        let tunables = Tunables::new(&dir)?;
        let (front, inside) = (Door::new(target.entry()), Door::new(Entry::Inside));
        let cast = Cast {
            target,
            binaries,
            dir: &dir,
            guard: &guard,
            tunables: &tunables,
        };
        let servers = Servers::start(&cast, inside.listen()?).await?;
        let (public_port, nginx) = cast.front(front.listen()?).await?;
        let base_url = format!("http://127.0.0.1:{public_port}");
        let signing_key_file = dir.join("signing-key.pem");
        std::fs::write(&signing_key_file, SigningKey::generate_pem()?)?;
        let pem = std::fs::read_to_string(&signing_key_file)?;
        let key = Arc::new(SigningKey::from_pem(&pem, &base_url)?);

        servers.store.ready().await?;
        let database = people::database(&servers.store_way.url().parse()?).await?;
        let functions = cast.functions(&key, &servers).await?;
        let rest = Rest {
            key: Arc::clone(&key),
            redis: servers.back_wire.port,
            events: servers.events.port,
            store: Arc::clone(&database),
        };
        let rest = match target {
            Target::Local => Some(rest.serve().await?),
            Target::Knative => None,
        };
        let gateway = Gateway::new(functions.clone(), rest);
        front.open(&gateway);
        inside.open(&gateway);

        let admin = people::administrator(&*database, &key).await?;
        let client = Arc::new(Client::new(&base_url, CONNECTIONS)?);
        let buyers = people::buyers(&client, &admin.0, &signing_key_file).await?;
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
            store_way: servers.store_way,
            store: servers.store,
            broker: servers.broker,
            functions,
            nginx,
            cluster: servers.cluster,
            inside,
            guard,
            dir,
            tunables,
            sweeping: Arc::default(),
            _dir: temporary,
        };
        fleet.keep_sweeping(target)?;
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
        for tap in [&self.events, &self.deliveries] {
            tap.set(tap::Mode::Pass);
        }
        self.store_way.pass();
        for wire in [&self.front_wire, &self.back_wire] {
            wire.delay(Duration::ZERO);
        }
        self.tunables.restore()?;
        for service in self.services() {
            service.rest().await?;
            service.set_clock(0).await?;
            if service.life().armed {
                service.kill().await?;
            }
        }
        Ok(())
    }

    fn services(&self) -> impl Iterator<Item = &Service> {
        let servers = [&self.store, &self.broker].into_iter();
        self.functions.iter().chain(servers).chain(&self.nginx)
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

    /// Opens a socket on which events and timers are called, as whoever is inside of a cluster can; its path.
    pub fn listen_inside(&self) -> anyhow::Result<PathBuf> {
        let path = self.dir.join("inside.sock");
        let listener = UnixListener::bind(&path)?;
        let door = self.inside.clone();
        tap::serve_on(listener, move |request| {
            let door = door.clone();
            async move { door.answer(request).await }
        });
        Ok(path)
    }

    /// Nothing is swept while this is held.
    pub async fn without_sweeps(&self) -> RwLockWriteGuard<'_, ()> {
        self.sweeping.turn.write().await
    }

    /// Sweepers are called again and again: both at the same time, or one where the other waits for its timer.
    fn keep_sweeping(&self, target: Target) -> anyhow::Result<()> {
        let sweepers = match target {
            Target::Local => &["sweeper", "second-sweeper"][..],
            Target::Knative => &["sweeper"],
        };
        for name in sweepers {
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
