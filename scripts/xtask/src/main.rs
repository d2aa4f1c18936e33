//! Binary of `xtask`: `cargo xtask check [RULE...]`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use xtask::Rule;

/// Checks of the project that no compiler makes.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks the rules that are named, or all of them.
    Check {
        /// Which rules; all if none is named.
        rules: Vec<Rule>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let Command::Check { rules } = Arguments::parse().command;
    let rules = if rules.is_empty() {
        Rule::ALL.to_vec()
    } else {
        rules
    };
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let violations = xtask::check(&root.canonicalize()?, &rules)?;
    for violation in &violations {
        println!("{violation}");
    }
    println!(
        "xtask check: {} rules, {} violations",
        rules.len(),
        violations.len()
    );
    Ok(ExitCode::from(u8::from(!violations.is_empty())))
}
