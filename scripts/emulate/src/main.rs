//! Binary of `emulate`: Spike's Lambda functions behind an AWS of this machine, until Ctrl-C.
//!
//! `scripts/package-lambda --arch x86-64`, then `cargo run --release -p emulate -- --packages target/lambda`. It prints what
//! `race` and the black-box suite need to be told.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use emulate::cloud::{Cloud, Options};

/// Runs the zips of scripts/package-lambda, built for this machine, behind an emulated AWS.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the zips are.
    #[arg(long, default_value = "target/lambda")]
    packages: PathBuf,
    /// Where the API listens; 0: a free port.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The most instances of a function at a time.
    #[arg(long, default_value_t = 64)]
    instances: usize,
    /// Do not stop instances between two requests, as Lambda does.
    #[arg(long)]
    no_freeze: bool,
    /// How many seconds lie between two calls of a timer.
    #[arg(long, default_value_t = 60)]
    timer_every_secs: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("emulate");
    let arguments = Arguments::parse();
    let options = Options {
        packages: arguments.packages,
        port: arguments.port,
        instances_max: arguments.instances,
        freezes: !arguments.no_freeze,
        timer_every: Duration::from_secs(arguments.timer_every_secs.max(1)),
        queue: None,
        writers: 2,
        rate: 2,
    };
    let dir = tempfile::tempdir()?;
    let cloud = Cloud::start(&options, dir.path()).await?;
    println!("BASE_URL={}", cloud.base_url);
    println!("ADMIN='{}'", cloud.admin);
    println!("SIGNING_KEY_FILE={}", cloud.signing_key_file.display());
    println!("PRIVATE_SOCKET={}", cloud.private_socket.display());
    tokio::signal::ctrl_c().await?;
    Ok(())
}
