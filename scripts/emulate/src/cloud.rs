//! All of it together: an account with Spike in it.

mod environment;
mod kept;
mod private;
mod services;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use r#break::guard::Guard;
use bytes::Bytes;
use local::{data::Data, engine::Engine};
use store::DynamoStore;
use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinSet,
    time::MissedTickBehavior,
};

use crate::{
    capacity::Provisioned,
    gateway::{BODY_BYTES_MAX, Gateway, Routes},
    http::Server,
    lambda::{Function, Recipe},
    packages,
    queue::{Mapping, Queue, SqsApi},
    redis::Redis,
    tables::Tables,
    terraform::{self, Declared},
};
use environment::Environment;
use kept::Kept;
use private::Private;
use services::Services;

/// The function of unknown addresses, as `api.tf` says.
const DEFAULT: &str = "web";
/// The prefix of names.
const PREFIX: &str = "spike-";
/// `queue.tf`: how many batches of dead letters are kept at once.
const BURIERS: usize = 2;
/// `queue.tf`: so many times as long as its consumer may take, a message is hidden.
pub const VISIBILITY: u32 = 6;
const ADMIN: &str = "admin";
const PASSWORD: &str = "a sneaker for each foot";

/// How it is set up where it is not as `infra/terraform` says.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the zips are.
    pub packages: PathBuf,
    /// Where the gateway listens; 0: a free port.
    pub port: u16,
    /// The most instances of a function at a time.
    pub instances_max: usize,
    /// Whether instances are stopped between invocations.
    pub freezes: bool,
    /// Between two calls of a timer.
    pub timer_every: Duration,
    /// How long an invocation of what a queue calls may take, and a message is hidden; none: as in Terraform.
    pub queue: Option<QueueTimes>,
    /// How many batches of orders are written at once.
    pub writers: usize,
    /// `BUCKET_BURST` and `BUCKET_REFILL`.
    pub rate: u32,
}

/// Times of the queues.
#[derive(Debug, Clone, Copy)]
pub struct QueueTimes {
    /// How long an invocation may take.
    pub timeout: Duration,
    /// How long a message is hidden.
    pub visibility: Duration,
    /// How often a message is received before it is a dead letter.
    pub receives_max: u32,
}

/// Everything, running. It ends when this is dropped.
pub struct Cloud {
    /// Where the gateway is.
    pub base_url: String,
    /// `USER:PASSWORD`.
    pub admin: String,
    /// What signs access tokens.
    pub signing_key_file: PathBuf,
    /// Makes path tokens.
    pub path_token_key: String,
    /// What queues and timers call, for whoever must call it at once.
    pub private_socket: PathBuf,
    /// The functions, by name.
    pub functions: BTreeMap<String, Arc<Function>>,
    /// From `spike` to `order-writer`.
    pub orders: Arc<Queue>,
    /// What `order-writer` gave up on.
    pub dead_letters: Arc<Queue>,
    /// The mapping of `order-writer`.
    pub writing: Mapping,
    /// The mapping of `dead-letter`.
    pub burying: Mapping,
    /// The service of the queues.
    pub sqs: Arc<SqsApi>,
    /// The store's service.
    pub tables: Arc<Tables>,
    /// The store itself, past its service.
    pub store: DynamoStore,
    /// Provisioned concurrency, by the functions' full names.
    pub provisioned: Arc<Provisioned>,
    /// The stock's server.
    pub redis: Redis,
    _timers: JoinSet<()>,
    _servers: Vec<Server>,
    _engine: Engine,
}

impl Cloud {
    /// Starts everything below `dir`; it is ready when this returns.
    pub async fn start(options: &Options, dir: &Path) -> anyhow::Result<Self> {
        let dir = dir.canonicalize()?;
        let guard = Arc::new(Guard::start(&dir)?);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/terraform");
        let declared = terraform::functions(&folder)?;
        let redis = Redis::start(&dir.join("redis"), Arc::clone(&guard)).await?;
        let engine = Engine::start(&Data::open(&dir.join("data"))?, 0)?;
        let engine_port = engine.url()?.port().context("the engine has no port")?;
        let store = administrator(engine_port).await?;

        let listener = local::listen(options.port)?;
        let base_url = format!("http://127.0.0.1:{}", listener.local_addr()?.port());
        let times = queue_times(options, &folder, &declared)?;
        let (orders, dead_letters) = queues(options, &declared, times)?;
        let signing_key_file = dir.join("signing-key.pem");
        let names = declared.keys().map(|name| format!("{PREFIX}{name}"));
        let provisioned = Arc::new(Provisioned::new(names));
        let kept = Kept::new(&signing_key_file, &redis)?;
        let mut services = Services::start(engine_port, &orders, kept.service, &provisioned)?;
        let environment = Environment {
            issuer: base_url.clone(),
            ports: services.ports,
            arns: kept.arns,
            queue: orders.name.clone(),
            prefix: PREFIX.to_owned(),
            rate: options.rate,
            repeats: options.timer_every >= Duration::from_mins(1),
        };
        let set_up = SetUp {
            options,
            dir: &dir,
            guard: &guard,
            times,
            environment: &environment,
        };
        let functions = set_up.functions(&declared).await?;
        let private_socket = dir.join("private.sock");
        let private = Private::new(&declared, &functions, [&orders, &dead_letters]);
        let inside = private.serve(UnixListener::bind(&private_socket)?);
        let outside = serve(listener, routes(&declared), functions.clone())?;
        services.servers.extend([inside, outside]);

        let batch_size = terraform::queues(&folder)?.batch_size;
        let consumer = |queue: &Arc<Queue>, name: &str, pollers| {
            let function = functions.get(name);
            let function = function.with_context(|| format!("there is no zip of {name}"))?;
            anyhow::Ok(Mapping::start(queue, function, batch_size, pollers))
        };
        Ok(Self {
            writing: consumer(&orders, "order-writer", options.writers)?,
            burying: consumer(&dead_letters, "dead-letter", BURIERS)?,
            _timers: timers(&declared, &functions, options.timer_every),
            base_url,
            admin: format!("{ADMIN}:{PASSWORD}"),
            signing_key_file,
            path_token_key: kept.path_token_key,
            private_socket,
            functions,
            orders,
            dead_letters,
            sqs: services.sqs,
            tables: services.tables,
            store,
            provisioned,
            redis,
            _servers: services.servers,
            _engine: engine,
        })
    }

    /// A function.
    ///
    /// # Panics
    ///
    /// If there is none of this name.
    #[must_use]
    pub fn function(&self, name: &str) -> &Arc<Function> {
        let Some(function) = self.functions.get(name) else {
            panic!("no function is called {name}");
        };
        function
    }
}

/// What all functions are made with.
struct SetUp<'a> {
    options: &'a Options,
    dir: &'a Path,
    guard: &'a Arc<Guard>,
    times: QueueTimes,
    environment: &'a Environment,
}

impl SetUp<'_> {
    /// Every function of which there is a zip.
    async fn functions(
        &self,
        declared: &BTreeMap<String, Declared>,
    ) -> anyhow::Result<BTreeMap<String, Arc<Function>>> {
        let tasks = self.dir.join("task");
        std::fs::create_dir_all(&tasks)?;
        let mut functions = BTreeMap::new();
        for (name, declared) in declared {
            let Some(binary) = packages::unpack(&self.options.packages, name, &tasks).await? else {
                tracing::warn!(function = name, "there is no zip: the function is left out");
                continue;
            };
            let recipe = Recipe {
                name: name.clone(),
                binary,
                environment: self.environment.of(declared)?,
                memory_mb: declared.memory_mb,
                timeout: match &declared.consumes {
                    Some(_) => self.times.timeout,
                    None => declared.timeout,
                },
                instances_max: self.options.instances_max,
                freezes: self.options.freezes,
                log: self.dir.join(format!("{name}.log")),
            };
            let function = Function::new(recipe, Arc::clone(self.guard));
            functions.insert(name.clone(), function);
        }
        let packages = self.options.packages.display();
        ensure!(
            !functions.is_empty(),
            "no zips in {packages}: scripts/package-lambda makes them"
        );
        Ok(functions)
    }
}

/// Those of orders and of dead letters.
fn queues(
    options: &Options,
    declared: &BTreeMap<String, Declared>,
    times: QueueTimes,
) -> anyhow::Result<(Arc<Queue>, Arc<Queue>)> {
    let burier = declared.get("dead-letter").context("no dead-letter")?;
    let hidden = match options.queue {
        Some(times) => times.visibility,
        None => VISIBILITY * burier.timeout,
    };
    let dead_letters = Queue::new(&format!("{PREFIX}dead-letters"), hidden, None);
    let redrive = (times.receives_max, Arc::clone(&dead_letters));
    let orders = Queue::new(&format!("{PREFIX}orders"), times.visibility, Some(redrive));
    Ok((orders, dead_letters))
}

fn queue_times(
    options: &Options,
    folder: &Path,
    declared: &BTreeMap<String, Declared>,
) -> anyhow::Result<QueueTimes> {
    let writer = declared.get("order-writer").context("no order-writer")?;
    Ok(match options.queue {
        Some(times) => times,
        None => QueueTimes {
            timeout: writer.timeout,
            visibility: VISIBILITY * writer.timeout,
            receives_max: terraform::queues(folder)?.receives_max,
        },
    })
}

/// The gateway.
fn serve(
    listener: TcpListener,
    routes: Routes,
    functions: BTreeMap<String, Arc<Function>>,
) -> anyhow::Result<Server> {
    let gateway = Arc::new(Gateway { routes, functions });
    Server::tcp(listener, BODY_BYTES_MAX, move |request| {
        let gateway = Arc::clone(&gateway);
        async move { gateway.answer(request).await }
    })
}

fn routes(declared: &BTreeMap<String, Declared>) -> Routes {
    let mut routes = Routes::default();
    for (name, declared) in declared {
        for path in &declared.routes {
            routes.add(path, name);
        }
    }
    routes.set_default(DEFAULT);
    routes
}

/// The tables, and the account of who lets all others in.
async fn administrator(engine: u16) -> anyhow::Result<DynamoStore> {
    let url = format!("dynamodb+http://127.0.0.1:{engine}/?prefix={PREFIX}").parse()?;
    let store = DynamoStore::connect(&url)?;
    store
        .create_tables()
        .await
        .context("cannot create the tables")?;
    let now = runtime::clock::system()();
    migrate::add_admin(&store, &ADMIN.parse()?, PASSWORD, now).await?;
    Ok(store)
}

/// The scheduler: `{"path":PATH}`, as `scheduler.tf` says, whether the run before has ended or not.
fn timers(
    declared: &BTreeMap<String, Declared>,
    functions: &BTreeMap<String, Arc<Function>>,
    every: Duration,
) -> JoinSet<()> {
    let mut timers = JoinSet::new();
    for (name, declared) in declared {
        let (Some(path), Some(function)) = (&declared.timer, functions.get(name)) else {
            continue;
        };
        let event = Bytes::from(serde_json::json!({ "path": path }).to_string());
        let function = Arc::clone(function);
        timers.spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Err(failure) = function.invoke(event.clone()).await {
                    tracing::warn!(function = function.recipe.name, %failure, "a timer's run failed");
                }
            }
        });
    }
    timers
}
