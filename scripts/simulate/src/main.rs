//! Binary of `simulate`: runs schedules, or shows one again.

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use simulate::{Mutation, Shape, run_many, schedule};

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
    /// Looks at one fault closely.
    #[arg(long, default_value = "any")]
    shape: Shape,
    /// Breaks something on purpose, to see it caught.
    #[arg(long)]
    mutation: Option<Mutation>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let started_at = Instant::now();
    let outcome = match cli.reproduce {
        Some(seed) => schedule::run(seed, cli.shape, cli.mutation, true),
        None => run_many(cli.seed, cli.schedules, cli.shape, cli.mutation),
    };
    match outcome {
        Ok(tally) => {
            println!("{tally:?} in {:.1} s", started_at.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            for line in failure.again() {
                println!("{line}");
            }
            ExitCode::FAILURE
        }
    }
}
