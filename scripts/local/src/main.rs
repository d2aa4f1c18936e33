//! Binary `local`: the whole of Spike on one machine, and its parts as processes of their own.

use std::{convert::Infallible, path::PathBuf, pin::pin, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use local::{
    Local, Options,
    broker::{Broker, Limits, Subscriber, ingress},
    data::Data,
    demo::Demo,
    engine::Engine,
};
use runtime::{Live, env, server};
use url::Url;

/// All functions share these threads, and allocations are an eighth of what a refusal costs. A function of its own keeps
/// the system's allocator, which is slower and takes half the memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs Spike on this machine: all functions behind one port, and nothing to configure.
#[derive(Debug, Parser)]
#[command(name = "local", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: Up,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs everything (the default).
    Up(Up),
    /// Runs the store alone: the `DynamoDB` API on an `SQLite` file.
    Store {
        /// The port on the loopback address; 0 takes a free one.
        #[arg(long, default_value_t = 8000)]
        port: u16,
        /// The data directory.
        #[arg(long, default_value = ".data")]
        data: PathBuf,
    },
    /// Runs the broker alone: takes `CloudEvents` by `POST /`.
    Broker {
        /// The port on the loopback address; 0 takes a free one.
        #[arg(long, default_value_t = 8081)]
        port: u16,
        /// Where events are delivered, for example `http://127.0.0.1:8082/events/order-placed`.
        #[arg(long)]
        subscriber: Url,
        /// Where dead letters are delivered, for example `http://127.0.0.1:8083/events/dead-letter`.
        #[arg(long)]
        dead_letter: Url,
    },
    /// Prints the `OpenAPI` document of all functions.
    Openapi,
}

#[derive(Debug, Args)]
struct Up {
    /// The public port on the loopback address; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The data directory: orders, stock, keys and the admin's password.
    #[arg(long, default_value = ".data")]
    data: PathBuf,
    /// Forgets everything in the data directory first.
    #[arg(long)]
    reset: bool,
    /// A file of tunables, followed while this runs (default: `tunables.toml` in the data directory, if it is there).
    #[arg(long, value_name = "FILE")]
    tunables: Option<PathBuf>,
    /// Creates no demo spike.
    #[arg(long)]
    no_demo: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    runtime::telemetry::init("local");
    let done = tokio::select! {
        biased;
        insisted = second_signal() => insisted.map(|never| match never {}),
        done = run(cli.command.unwrap_or(Command::Up(cli.up))) => done,
    };
    runtime::telemetry::stop().await;
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(options) => up(options).await,
        Command::Store { port, data } => run_store(port, data).await,
        Command::Broker {
            port,
            subscriber,
            dead_letter,
        } => run_broker(port, &subscriber, &dead_letter).await,
        Command::Openapi => local::openapi::text().map(|text| print!("{text}")),
    }
}

/// Fails at the second SIGTERM or SIGINT: who insists does not wait for what the first has begun. What is cut off then
/// is what kill -9 would cut off.
async fn second_signal() -> anyhow::Result<Infallible> {
    server::stop_signal()?.await;
    server::stop_signal()?.await;
    bail!("ended at once by a second signal; the next start takes up what is unfinished")
}

async fn up(up: Up) -> anyhow::Result<()> {
    let mut stop = pin!(server::stop_signal()?);
    let options = Options {
        rates: rates(&up).await?,
        data: up.data,
        port: up.port,
        reset: up.reset,
    };
    let local = tokio::select! {
        started = Box::pin(Local::start(&options)) => started?,
        // What has started goes with this process; nobody has been served yet.
        () = &mut stop => {
            eprintln!("Stopped before it was ready.");
            return Ok(());
        }
    };
    let served = tokio::select! {
        failed = serve(&local, !up.no_demo) => failed.map(|never| match never {}),
        () = &mut stop => {
            eprintln!("Stopping: finishing what is under way.");
            Ok(())
        }
    };
    served.and(Box::pin(local.stop()).await)
}

/// From the file of tunables that is named, or else lies in the data directory; without one, from the environment.
async fn rates(up: &Up) -> anyhow::Result<Live<spike::Rates>> {
    let in_data = up.data.join("tunables.toml");
    let in_data = in_data.exists().then_some(in_data);
    if let Some(path) = up.tunables.clone().or(in_data) {
        return Ok(Live::follow(path).await?);
    }
    let defaults = spike::Rates::default();
    let rates = spike::Rates {
        burst_per_unit: rate("BUCKET_BURST", defaults.burst_per_unit)?,
        refill_per_unit: rate("BUCKET_REFILL", defaults.refill_per_unit)?,
    };
    Ok(rates.into())
}

fn rate(name: &str, default: u32) -> anyhow::Result<u32> {
    let rate = env::number(name, default.into(), 0..=spike::MOST_PER_UNIT.into())?;
    Ok(u32::try_from(rate)?)
}

/// Says where everything is and goes on for good.
async fn serve(local: &Local, demo: bool) -> anyhow::Result<Infallible> {
    welcome(local, demo).await?;
    std::future::pending().await
}

/// Says where everything is. The line with the address comes last of what a machine reads, and means readiness.
async fn welcome(local: &Local, demo: bool) -> anyhow::Result<()> {
    println!("{}{}", local::READY, local.base_url);
    println!(
        "  admin        {} {}",
        local.admin.username, local.admin.password
    );
    println!("  signing key  {}", local.signing_key_file.display());
    println!("  inside       {}", local.private_socket.display());
    if demo {
        let demo = Demo::create(local).await?;
        println!(
            "  demo spike   {}, opens at {}",
            demo.spike_id, demo.starts_at
        );
        println!("\nTo buy from it, once it is open:\n");
        for line in demo.lines(&local.base_url) {
            println!("  {line}");
        }
    }
    println!("\nCtrl-C ends it; nothing is lost.");
    Ok(())
}

async fn run_store(port: u16, data: PathBuf) -> anyhow::Result<()> {
    let stop = server::stop_signal()?;
    let data = Data::open(&data)?;
    let engine = Engine::start(&data, port)?;
    engine.connect().await?;
    println!("STORE_URL={}", engine.url()?);
    stop.await;
    engine.stop().await
}

async fn run_broker(port: u16, subscriber: &Url, dead_letter: &Url) -> anyhow::Result<()> {
    let stop = server::stop_signal()?;
    let subscriber = Subscriber::outside(subscriber).context("--subscriber")?;
    let dead_letter = Subscriber::outside(dead_letter).context("--dead-letter")?;
    let broker = Broker::new(Limits::default(), subscriber, dead_letter);
    let listener = local::listen(port)?;
    println!("EVENTS_URL=http://{}/", listener.local_addr()?);
    let app = runtime::app(ingress(broker.clone(), "/"));
    server::serve_on(listener, app, runtime::Limits::default(), stop).await?;
    if !broker.drain(Duration::from_secs(10)).await {
        tracing::warn!("undelivered events are left to the sweeper");
    }
    Ok(())
}
