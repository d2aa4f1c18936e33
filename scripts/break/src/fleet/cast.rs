//! How the processes of a fleet are started.

use std::{path::Path, sync::Arc};

use anyhow::ensure;
use auth::{KeySet, SigningKey};

use super::Tunables;
use crate::{
    guard::Guard,
    redis::Redis,
    service::{Recipe, Service},
    tap::Tap,
    wire::Wire,
};

pub(super) const PATH_TOKEN_KEY: &str = "a key for breaking things, of 32 bytes or more";
/// The functions that are killed.
const FUNCTIONS: [&str; 11] = [
    "spike",
    "spike-token",
    "access-check",
    "order-writer",
    "order-query",
    "order-pay",
    "order-cancel",
    "admin-spikes",
    "sweeper",
    "second-sweeper",
    "dead-letter",
];

/// What the functions stand on, and what stands in between.
pub(super) struct Servers {
    pub(super) redis: Redis,
    pub(super) front_wire: Wire,
    pub(super) back_wire: Wire,
    pub(super) store: Service,
    pub(super) store_tap: Tap,
    pub(super) broker: Service,
    pub(super) events: Tap,
    pub(super) deliveries: Tap,
    pub(super) writer_port: u16,
    pub(super) letters_port: u16,
}

impl Servers {
    pub(super) async fn start(cast: &Cast<'_>) -> anyhow::Result<Self> {
        let (dir, guard) = (cast.dir.join("redis"), Arc::clone(cast.guard));
        let redis = Redis::start(&dir, free_port()?, guard).await?;
        let (writer_port, letters_port) = (free_port()?, free_port()?);
        let store = cast.store()?;
        let deliveries = Tap::start(writer_port)?;
        let broker = cast.broker(deliveries.port, letters_port)?;
        Ok(Self {
            front_wire: Wire::start(redis.port)?,
            back_wire: Wire::start(redis.port)?,
            store_tap: Tap::start(store.port)?,
            events: Tap::start(broker.port)?,
            redis,
            store,
            deliveries,
            broker,
            writer_port,
            letters_port,
        })
    }
}

/// How processes are started.
pub(super) struct Cast<'a> {
    pub(super) binaries: &'a Path,
    pub(super) dir: &'a Path,
    pub(super) guard: &'a Arc<Guard>,
    pub(super) tunables: &'a Tunables,
}

impl Cast<'_> {
    fn recipe(&self, name: &'static str, binary: &str, port: u16) -> anyhow::Result<Recipe> {
        let binary = self.binaries.join(format!("break-{binary}"));
        ensure!(
            binary.is_file(),
            "{} is missing: cargo build -p break --examples",
            binary.display()
        );
        Ok(Recipe {
            name,
            binary,
            arguments: Vec::new(),
            environment: vec![("RUST_LOG", "info,dynoxide=error".to_owned())],
            port,
            has_health: true,
            log: self.dir.join(format!("{name}.log")),
        })
    }

    fn start(&self, recipe: Recipe) -> Service {
        Service::start(recipe, Arc::clone(self.guard))
    }

    fn store(&self) -> anyhow::Result<Service> {
        let port = free_port()?;
        let mut recipe = self.recipe("store", "local", port)?;
        let data = self.dir.join("data").display().to_string();
        let arguments = ["store", "--port", &port.to_string(), "--data", &data];
        recipe.arguments = arguments.map(str::to_owned).to_vec();
        recipe.has_health = false;
        Ok(self.start(recipe))
    }

    fn broker(&self, writer: u16, letters: u16) -> anyhow::Result<Service> {
        let port = free_port()?;
        let mut recipe = self.recipe("broker", "local", port)?;
        let subscriber = format!("http://127.0.0.1:{writer}/events/order-placed");
        let dead_letter = format!("http://127.0.0.1:{letters}/events/dead-letter");
        recipe.arguments = ["broker", "--port", &port.to_string()]
            .into_iter()
            .chain(["--subscriber", &subscriber, "--dead-letter", &dead_letter])
            .map(str::to_owned)
            .collect();
        Ok(self.start(recipe))
    }

    /// All functions, ready.
    pub(super) async fn functions(
        &self,
        key: &SigningKey,
        servers: &Servers,
    ) -> anyhow::Result<Vec<Service>> {
        let wires = (servers.front_wire.port, servers.back_wire.port);
        let environment = environment(key, servers.store_tap.port, servers.events.port)?;
        let mut functions = Vec::new();
        for name in FUNCTIONS {
            let port = match name {
                "order-writer" => servers.writer_port,
                "dead-letter" => servers.letters_port,
                _ => free_port()?,
            };
            functions.push(self.function(name, port, wires, &environment)?);
        }
        for service in functions.iter().chain([&servers.broker]) {
            service.ready().await?;
        }
        Ok(functions)
    }

    fn function(
        &self,
        name: &'static str,
        port: u16,
        (front, back): (u16, u16),
        environment: &[(&'static str, String)],
    ) -> anyhow::Result<Service> {
        let binary = name.strip_prefix("second-").unwrap_or(name);
        let mut recipe = self.recipe(name, binary, port)?;
        let is_in_front = ["spike", "spike-token", "access-check"].contains(&name);
        let wire = if is_in_front { front } else { back };
        let stock = ("STOCK_URL", format!("redis://127.0.0.1:{wire}/"));
        recipe.environment.extend(environment.iter().cloned());
        recipe.environment.push(stock);
        if name == "spike" {
            let path = self.tunables.path().display().to_string();
            recipe.environment.push(("TUNABLES_FILE", path));
        }
        Ok(self.start(recipe))
    }
}

pub(super) fn dynamo(port: u16) -> String {
    format!("dynamodb+http://127.0.0.1:{port}")
}

fn environment(
    key: &SigningKey,
    store: u16,
    events: u16,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let keys = KeySet {
        keys: vec![key.jwk()],
    };
    Ok(vec![
        ("STORE_URL", dynamo(store)),
        ("EVENTS_URL", format!("http://127.0.0.1:{events}/")),
        ("ACCESS_TOKEN_KEYS", serde_json::to_string(&keys)?),
        ("ISSUER", key.issuer().to_owned()),
        ("PATH_TOKEN_KEY", PATH_TOKEN_KEY.to_owned()),
    ])
}

/// A port that is free now, below those that systems give to outgoing connections: a process that is started again finds
/// its port as it left it.
pub fn free_port() -> anyhow::Result<u16> {
    for _ in 0..1000 {
        let port = rand::random_range(18_000..30_000);
        if local::listen(port).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no port is free")
}
