//! Binary of `simulate`: runs schedules, or shows one again.
//!
//! It ends with 0 if nothing was wrong, or if what was broken on purpose was caught; else with 1.

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use simulate::{Mutation, Shape, report};

/// Runs Spike's own code under a scheduler that decides every interleaving and every fault.
#[derive(Debug, Parser)]
struct Cli {
    /// How many schedules.
    #[arg(long, default_value_t = 20_000)]
    schedules: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shows this one schedule, step by step, whether it passes or not.
    #[arg(long, value_name = "SEED")]
    reproduce: Option<u64>,
    /// Looks at one fault closely; where it is left out, at all, or at those that show what is broken on purpose.
    #[arg(long)]
    shape: Option<Shape>,
    /// Breaks something on purpose, to see it caught: 0 if it is, 1 if it survives all schedules.
    #[arg(long)]
    mutation: Option<Mutation>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let started_at = Instant::now();
    let shape = cli.shape.unwrap_or(Shape::of(cli.mutation));
    let report = match cli.reproduce {
        Some(seed) => report::one(seed, shape, cli.mutation),
        None => report::many(cli.seed, cli.schedules, shape, cli.mutation),
    };
    for line in &report.lines {
        println!("{line}");
    }
    println!("in {:.1} s", started_at.elapsed().as_secs_f64());
    if report.as_it_should {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
