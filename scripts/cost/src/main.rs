//! Binary of `cost`: what Spike costs on AWS, from operations that are counted while it sells, and a table of list prices.
//!
//! `scripts/package-lambda --arch x86-64 --out DIR`, then `cargo run --release -p cost -- --packages DIR`. It races against
//! the functions behind `emulate`, counts requests, units of DynamoDB, commands of Redis, messages and bytes of logs, and
//! multiplies by `prices.toml`. How long invocations take is measured on this machine: with less than a core, or a slow one,
//! AWS takes longer. Traffic to the internet, storage and the pages' delivery are not counted.

mod bill;
mod count;
mod prices;

use std::{path::PathBuf, time::Duration};

use anyhow::ensure;
use clap::Parser;
use emulate::cloud::{Cloud, Options};

use bill::Race;
use count::{Mark, number};
use prices::Table;

/// What Spike costs on AWS.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the zips of scripts/package-lambda are, built for this machine.
    #[arg(long)]
    packages: PathBuf,
    /// How many buyers come.
    #[arg(long, default_value_t = 1000)]
    buyers: usize,
    /// How many units there are.
    #[arg(long, default_value_t = 50)]
    units: u32,
    /// How many alarms `terraform plan` shows.
    #[arg(long, default_value_t = 62)]
    alarms: u32,
}

/// Instances of a function at a time, and connections of buyers.
const AT_ONCE: usize = 16;
/// Runs of the sweeper that are counted.
const RUNS: u32 = 10;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let table = Table::read()?;
    let dir = tempfile::tempdir()?;
    let options = Options {
        packages: arguments.packages.clone(),
        port: 0,
        instances_max: 2 * AT_ONCE,
        freezes: true,
        // Runs are called for by hand.
        timer_every: Duration::from_hours(1),
        queue: None,
        writers: 2,
        rate: 0,
    };
    let cloud = Cloud::start(&options, dir.path()).await?;
    let mark = Mark::new(&cloud).await?;
    for _ in 0..RUNS {
        let event = r#"{"path":"/timers/sweep"}"#;
        cloud.function("sweeper").invoke(event.into()).await?;
    }
    let timer = mark.counted(&cloud).await?;

    let mark = Mark::new(&cloud).await?;
    let report = Box::pin(race::run(&race_options(&arguments, &cloud))).await?;
    let counted = mark.counted(&cloud).await?;
    println!("{report}\n");
    ensure!(report.passed(), "the race did not pass");
    let race = Race {
        buyers: number(u64::try_from(arguments.buyers)?),
        orders: counted.sent,
    };
    for (name, work) in &counted.functions {
        println!("{name:<14} {work:?}");
    }
    println!(
        "Redis: {:.0} units; SQS: {:.0} messages in {:.0} batches\n",
        counted.ecpu, counted.sent, counted.batches
    );
    println!("USD, list prices of {} in {}", table.as_of, table.region);
    println!(
        "a million refusals\n{}",
        bill::million_refusals(&counted, race, &table)
    );
    println!(
        "a thousand orders\n{}",
        bill::thousand_orders(&counted, race, &table)
    );
    let idle = bill::idle_month(&timer, f64::from(RUNS), f64::from(arguments.alarms), &table);
    println!("an idle month\n{idle}");
    Ok(())
}

fn race_options(arguments: &Arguments, cloud: &Cloud) -> race::Options {
    race::Options {
        base_url: cloud.base_url.clone(),
        admin: cloud.admin.clone(),
        signing_key: Some(cloud.signing_key_file.clone()),
        tokens: None,
        buyers: arguments.buyers,
        units: arguments.units,
        quantity: 1,
        window_ms: 1000,
        starts_in_secs: 3,
        open_for_secs: 600,
        pay_within_secs: 900,
        patience_secs: 120,
        connections: AT_ONCE,
        // Nothing is to be bought a second time.
        no_cancel: true,
        quiet: true,
    }
}
