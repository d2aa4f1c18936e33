//! Binary of `bench`: how fast and how small Spike is, as ratios to what the machine can do at all.
//!
//! Run by hand, on an idle machine: `cargo run --release -p bench -- all`. Each measure is compared in one run with a bound
//! that is measured by the same client before and after it (A/B/A). If the two measurements of the bound differ by more
//! than a tenth, something else was running: the run is void and repeated, three times at most, then it counts as noisy.
//!
//! Client and server share one process, with a runtime of their own each, so that both sides of a comparison share the
//! same cores. B4 to B6 and B9 measure the binaries that are shipped (profile `dist`), each as a process of its own,
//! and `hostile` measures `local` as one. `lambda-start`, `lambda-memory` and `lambda-units` measure them as Lambda runs them.

mod bare;
mod binaries;
mod compare;
mod crowd;
mod hostile;
mod hot_path;
mod lambda;
mod load;
mod parts;
mod starts;
mod writer;

use clap::{Parser, Subcommand};

use compare::Finding;

/// That of `local`, for both sides of a comparison.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Spike's speed and size against its bounds.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    measure: Measure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
enum Measure {
    /// Winners per second through `spike`, over the series bound of a bare server and of the script.
    B1,
    /// Refusals per second, over a bare server's.
    B2,
    /// The race of 10,000 buyers for 100 units: p99 of the order, over a bare server's.
    B3,
    /// From exec to the first answer of `spike`, over a minimal server's.
    B4,
    /// Resident memory of `spike`, idle and after 10,000 buyers.
    B5,
    /// Sizes of the zipped binaries.
    B6,
    /// Orders written per second, over the raw transaction.
    B7,
    /// The same through HTTP on `MariaDB`, over inserts of many rows.
    B8,
    /// From exec to the first answer of each function on Kubernetes, with Redis and `MariaDB` up.
    B9,
    /// What hostile clients cost: memory, and honest buyers' p99 over the same without them.
    Hostile,
    /// From exec to the first answer of `spike` and `order-writer` under Lambda's Runtime API, over a minimal function's.
    LambdaStart,
    /// Resident memory of both after a thousand invocations.
    LambdaMemory,
    /// What `DynamoDB` counts for an order and for a refusal.
    LambdaUnits,
    /// All of them.
    All,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { measure } = Arguments::parse();
    // Functions log, and have telemetry compiled in.
    runtime::telemetry::init("bench");
    let wanted = |one| measure == one || measure == Measure::All;
    let mut findings: Vec<Finding> = Vec::new();
    if wanted(Measure::B1) {
        findings.extend(hot_path::winners().await?);
    }
    if wanted(Measure::B2) {
        findings.extend(hot_path::refusals().await?);
    }
    if wanted(Measure::B3) {
        findings.extend(crowd::race().await?);
    }
    if wanted(Measure::B4) {
        findings.extend(binaries::start().await?);
    }
    if wanted(Measure::B5) {
        findings.extend(binaries::memory().await?);
    }
    if wanted(Measure::B6) {
        findings.extend(binaries::sizes()?);
    }
    if wanted(Measure::B7) {
        findings.extend(writer::orders().await?);
    }
    if wanted(Measure::B8) {
        findings.extend(Box::pin(writer::mariadb::orders()).await?);
    }
    if wanted(Measure::B9) {
        findings.extend(Box::pin(starts::answers()).await?);
    }
    if wanted(Measure::Hostile) {
        findings.extend(hostile::costs().await?);
    }
    if wanted(Measure::LambdaStart) {
        findings.extend(lambda::start().await?);
    }
    if wanted(Measure::LambdaMemory) {
        findings.extend(lambda::memory().await?);
    }
    if wanted(Measure::LambdaUnits) {
        findings.extend(lambda::units().await?);
    }
    println!();
    for finding in findings {
        println!("{finding}");
    }
    Ok(())
}
