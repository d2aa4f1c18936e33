//! Binary of `simulate`: runs schedules, or shows one again.

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use simulate::{Failure, Mutation, run_many, schedule};

/// Runs Spike's own code under a scheduler that decides every interleaving and every fault.
#[derive(Debug, Parser)]
struct Cli {
    /// How many schedules.
    #[arg(long, default_value_t = 20_000)]
    schedules: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shows this one schedule, step by step.
    #[arg(long, value_name = "SEED")]
    reproduce: Option<u64>,
    /// Breaks something on purpose, to see it caught.
    #[arg(long)]
    mutation: Option<Mutation>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let started_at = Instant::now();
    let outcome = match cli.reproduce {
        Some(seed) => schedule::run(seed, cli.mutation, true),
        None => run_many(cli.seed, cli.schedules, cli.mutation),
    };
    match outcome {
        Ok(tally) => {
            println!("{tally:?} in {:.1} s", started_at.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            show(&failure, cli.mutation);
            ExitCode::FAILURE
        }
    }
}

/// The trace of a failure is made by running its seed again.
fn show(failure: &Failure, mutation: Option<Mutation>) {
    let again = schedule::run(failure.seed, mutation, true).err();
    let again = again.as_deref().unwrap_or(failure);
    for line in &again.trace {
        println!("{line}");
    }
    println!("seed {}: {}", again.seed, again.what);
    println!("again: simulate --reproduce {}", again.seed);
}
