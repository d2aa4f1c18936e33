//! What ten thousand buyers do to a running system, and whether it kept its promises.
//!
//! The race is a client like any other: it knows the system by its HTTP API alone. It makes accounts by the bulk import,
//! creates a spike, waits for the start by the server's clock, and sends the buyers off in a window of one second,
//! whatever becomes of those before them (an open loop). Latency counts from the moment at which a request was due. At
//! the end it prints what became of all requests and audits the sale.

pub mod admin;
pub mod api;
pub mod audit;
pub mod buyer;
pub mod client;
pub mod funnel;
pub mod patience;
pub mod progress;
pub mod report;
pub mod tokens;
pub mod users;

#[cfg(test)]
mod testing;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use domain::{Money, Timestamp, spike::Settings};

use admin::Admin;
use api::ServerClock;
use audit::Audit;
use buyer::Sale;
use client::Client;
use funnel::Funnel;
use progress::Progress;
use report::Report;
use users::Buyer;

/// What to race against, and how.
#[derive(Debug, Clone, clap::Parser)]
#[command(about = "Does to a running system what ten thousand buyers do, then audits the sale.")]
pub struct Options {
    /// Where the system is.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub base_url: String,
    /// An admin: USER:PASSWORD, or @FILE with that, or with the password of `admin`, in its first line.
    #[arg(long)]
    pub admin: String,
    /// The system's signing key (PEM): the race signs its buyers' access tokens itself.
    #[arg(long, required_unless_present = "tokens", conflicts_with = "tokens")]
    pub signing_key: Option<PathBuf>,
    /// Without the key: log the buyers in beforehand and keep their tokens in this file.
    #[arg(long)]
    pub tokens: Option<PathBuf>,
    /// How many buyers come.
    #[arg(long, default_value_t = 10_000)]
    pub buyers: usize,
    /// How many units there are.
    #[arg(long, default_value_t = 100)]
    pub units: u32,
    /// How many units each buyer wants.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub quantity: u32,
    /// Within how many milliseconds the buyers come.
    #[arg(long, default_value_t = 1000)]
    pub window_ms: u64,
    /// How many seconds after its creation the spike opens.
    #[arg(long, default_value_t = 5)]
    pub starts_in_secs: u32,
    /// How many seconds the spike stays open.
    #[arg(long, default_value_t = 600)]
    pub open_for_secs: u32,
    /// How many seconds an order waits for its payment.
    #[arg(long, default_value_t = 900)]
    pub pay_within_secs: u32,
    /// How many seconds a buyer goes on trying.
    #[arg(long, default_value_t = 60)]
    pub patience_secs: u32,
    /// The most connections at a time.
    #[arg(long, default_value_t = 512)]
    pub connections: usize,
    /// Do not cancel ten orders in the audit.
    #[arg(long)]
    pub no_cancel: bool,
    /// Print only the report.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Runs the race and the audit. An error is a race that could not be run; a promise that was broken is in the report.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let client = Arc::new(Client::new(&options.base_url, connections(options)?)?);
    let progress = Progress::new(options.quiet);
    let clock = ServerClock::read(&client)
        .await
        .with_context(|| format!("no system at {}", options.base_url))?;
    let admin = Admin::login(&client, &options.admin).await?;
    let mut buyers = buyers(options, &client, &admin, clock, &progress).await?;
    let latecomers = buyers.split_off(options.buyers);

    let starts_at = clock.now() + Duration::from_secs(options.starts_in_secs.into());
    let spike_id = admin.create_spike(&settings(options, starts_at)?).await?;
    progress.say(&format!("spike {spike_id} opens at {starts_at}"));
    progress.end_line();
    let sale = Arc::new(Sale {
        client: Arc::clone(&client),
        spike_id,
        quantity: options.quantity,
        patience: Duration::from_secs(options.patience_secs.into()),
        funnel: Funnel::default(),
        progress,
    });
    // The clock is read anew: seeding took its time.
    let starts_at = ServerClock::read(&client).await?.instant_of(starts_at);
    let window = Duration::from_millis(options.window_ms);
    let ends = sale.stampede(&buyers, starts_at, window).await?;
    let rows = sale.funnel.rows();
    let order_p99 = sale.funnel.p99(funnel::Step::Order);

    let audit = Audit {
        sale: &sale,
        admin: &admin,
        buyers: &buyers,
        latecomers: &latecomers,
        ends: &ends,
        units: options.units,
        rest: audit::REST,
    };
    let checks = audit.run(!options.no_cancel).await;
    Ok(Report::new(spike_id, rows, order_p99, &ends, checks))
}

/// As many connections as asked for, if the system lets a process have them.
fn connections(options: &Options) -> anyhow::Result<usize> {
    let spare = 64;
    let wanted = options.connections.saturating_add(spare).max(2 * spare);
    let wanted = u64::try_from(wanted)?;
    let limit = rlimit::increase_nofile_limit(wanted).context("the limit of open files")?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit < 2 * spare {
        bail!("a process may open only {limit} files: raise it with ulimit -n");
    }
    Ok(options.connections.clamp(1, limit - spare))
}

async fn buyers(
    options: &Options,
    client: &Client,
    admin: &Admin<'_>,
    clock: ServerClock,
    progress: &Progress,
) -> anyhow::Result<Vec<Buyer>> {
    let count = options.buyers + audit::latecomers(options.buyers, options.units, options.quantity);
    match (&options.signing_key, &options.tokens) {
        (Some(key), _) => users::signed(client, admin, clock, key, count, progress).await,
        (None, Some(tokens)) => {
            users::logged_in(client, admin, clock, tokens, count, progress).await
        }
        (None, None) => bail!("one of --signing-key and --tokens is needed"),
    }
}

fn settings(options: &Options, starts_at: Timestamp) -> anyhow::Result<Settings> {
    Ok(Settings {
        name: format!("Race of {} for {}", options.buyers, options.units),
        description: "Made by the race; may be ignored.".to_owned(),
        stock: options.units,
        limit_per_user: options.quantity,
        price: Money {
            amount_minor: 4900,
            currency: "EUR".parse()?,
        },
        starts_at,
        ends_at: starts_at + Duration::from_secs(options.open_for_secs.into()),
        pay_within_secs: options.pay_within_secs,
        rules: Vec::new(),
        expected_buyers: None,
    })
}
