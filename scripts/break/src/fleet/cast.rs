//! How the processes of a fleet are started.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use anyhow::{bail, ensure};
use auth::{KeySet, SigningKey};
use store::testing::free_port;

use super::{Servers, Target, Tunables};
use crate::{
    guard::Guard,
    manifest, mariadb, nginx,
    service::{Recipe, Service},
};

pub(super) const PATH_TOKEN_KEY: &str = "a key for breaking things, of 32 bytes or more";
/// The functions that are killed.
const KILLED: [&str; 11] = [
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
/// What are processes of their own besides, where all are. The second `spike` runs when it is asked to.
const OTHERS: [&str; 9] = [
    "prewarm",
    "register",
    "login",
    "refresh",
    "keys",
    "spike-list",
    "admin-users",
    "web",
    "second-spike",
];

/// How processes are started.
pub(super) struct Cast<'a> {
    pub(super) target: Target,
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
        let log_level = ("RUST_LOG".to_owned(), "info,dynoxide=error".to_owned());
        Ok(Recipe {
            name,
            binary,
            arguments: Vec::new(),
            environment: vec![log_level],
            directory: self.nowhere()?,
            is_spare: name == "second-spike",
            port,
            has_health: true,
            log: self.dir.join(format!("{name}.log")),
        })
    }

    /// A directory in which nothing is and nothing can be made.
    fn nowhere(&self) -> anyhow::Result<std::path::PathBuf> {
        let nowhere = self.dir.join("nowhere");
        if !nowhere.exists() {
            fs::create_dir(&nowhere)?;
            fs::set_permissions(&nowhere, fs::Permissions::from_mode(0o555))?;
        }
        Ok(nowhere)
    }

    fn start(&self, recipe: Recipe) -> Service {
        Service::start(recipe, Arc::clone(self.guard))
    }

    pub(super) async fn store(&self) -> anyhow::Result<Service> {
        let port = free_port()?;
        let mut recipe = self.recipe("store", "local", port)?;
        recipe.has_health = false;
        match self.target {
            Target::Local => {
                let data = self.dir.join("data").display().to_string();
                let arguments = ["store", "--port", &port.to_string(), "--data", &data];
                recipe.arguments = arguments.map(str::to_owned).to_vec();
            }
            Target::Knative => {
                let dir = self.dir.join("mariadb");
                mariadb::install(&dir).await?;
                recipe.binary = mariadb::program("mariadbd")?;
                recipe.arguments = mariadb::arguments(&dir, port).await?;
            }
        }
        Ok(self.start(recipe))
    }

    pub(super) fn broker(&self, writer: u16, letters: u16) -> anyhow::Result<Service> {
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

    /// What buyers meet first, ready: nginx in front of the network at this port, or else the gateway itself.
    pub(super) async fn front(&self, network: u16) -> anyhow::Result<(u16, Option<Service>)> {
        if self.target == Target::Local {
            return Ok((network, None));
        }
        let port = free_port()?;
        let mut recipe = self.recipe("nginx", "local", port)?;
        let dir = self.dir.join("nginx");
        let configuration = nginx::configure(&dir, port, network)?;
        recipe.binary = mariadb::program("nginx")?;
        recipe.arguments = nginx::arguments(&dir, &configuration);
        recipe.has_health = false;
        let nginx = self.start(recipe);
        nginx.ready().await?;
        Ok((port, Some(nginx)))
    }

    /// All functions; those are ready that are no spares.
    pub(super) async fn functions(
        &self,
        key: &SigningKey,
        servers: &Servers,
    ) -> anyhow::Result<Vec<Service>> {
        let keys = KeySet {
            keys: vec![key.jwk()],
        };
        let keys = serde_json::to_string(&keys)?;
        for (file, text) in [
            ("jwks.json", keys.as_str()),
            ("path-token-key", PATH_TOKEN_KEY),
        ] {
            fs::write(self.dir.join(file), text)?;
        }
        let others = match self.target {
            Target::Local => &[][..],
            Target::Knative => &OTHERS,
        };
        let mut functions = Vec::new();
        for name in KILLED.iter().chain(others) {
            let port = match *name {
                "order-writer" => servers.writer_port,
                "dead-letter" => servers.letters_port,
                _ => free_port()?,
            };
            let function = name.strip_prefix("second-").unwrap_or(name);
            let mut recipe = self.recipe(name, function, port)?;
            for (variable, given) in self.variables(function)? {
                let value = self.value(name, &variable, given, key, servers)?;
                recipe.environment.push((variable, value));
            }
            if let ("prewarm", Some(cluster)) = (*name, &servers.cluster) {
                let told = cluster.environment();
                let told = told.map(|(name, value)| (name.to_owned(), value));
                recipe.environment.extend(told);
            }
            functions.push(self.start(recipe));
        }
        for service in functions.iter().chain([&servers.broker]) {
            service.rest().await?;
        }
        Ok(functions)
    }

    /// What a function is told: on the Knative target what its manifest says, and nothing else.
    fn variables(&self, function: &str) -> anyhow::Result<Vec<manifest::Variable>> {
        if self.target == Target::Knative {
            return manifest::variables(function);
        }
        let common = [
            "STORE_URL",
            "STOCK_URL",
            "EVENTS_URL",
            "ACCESS_TOKEN_KEYS",
            "ISSUER",
            "PATH_TOKEN_KEY",
        ];
        let own = match function {
            "spike" => Some("TUNABLES_FILE"),
            "sweeper" => Some("REPEAT_SECS"),
            _ => None,
        };
        let names = common.into_iter().chain(own);
        Ok(names.map(|name| (name.to_owned(), None)).collect())
    }

    fn value(
        &self,
        name: &str,
        variable: &str,
        given: Option<String>,
        key: &SigningKey,
        servers: &Servers,
    ) -> anyhow::Result<String> {
        let file = |name: &str| self.dir.join(name).display().to_string();
        let read = |name: &str| fs::read_to_string(self.dir.join(name));
        let function = name.trim_start_matches("second-");
        let is_in_front = ["spike", "spike-token", "access-check"].contains(&function);
        let wires = [&servers.back_wire, &servers.front_wire];
        Ok(match variable {
            "STORE_URL" => servers.store_way.url(),
            "STOCK_URL" => format!(
                "redis://127.0.0.1:{}/",
                wires[usize::from(is_in_front)].port
            ),
            "EVENTS_URL" | "K_SINK" => format!("http://127.0.0.1:{}/", servers.events.port),
            "ISSUER" => key.issuer().to_owned(),
            "ACCESS_TOKEN_KEYS" => read("jwks.json")?,
            "ACCESS_TOKEN_KEYS_FILE" => file("jwks.json"),
            "PATH_TOKEN_KEY" => read("path-token-key")?,
            "PATH_TOKEN_KEY_FILE" => file("path-token-key"),
            "SIGNING_KEY_FILE" => file("signing-key.pem"),
            "TUNABLES_FILE" => self.tunables.path().display().to_string(),
            // Who is called twice a second has not to make up for a timer that is seldom.
            "REPEAT_SECS" if name == "sweeper" || given.is_none() => "0".to_owned(),
            _ => match given {
                Some(given) => given,
                None => bail!("{name} is told {variable}, which nobody here knows"),
            },
        })
    }
}
