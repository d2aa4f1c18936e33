//! Binary of `break`: repeats every scenario for so many minutes, a line each, and exits with 1 if a promise was broken.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, ensure};
use r#break::{
    fleet::{Fleet, Target},
    scenarios::{ALL, Form},
};
use clap::Parser;
use tokio::time::Instant;

/// Kills real processes and breaks real servers while people buy, and looks whether every sale kept its promises.
#[derive(Debug, Parser)]
struct Options {
    /// Every scenario runs at least once, and is not begun again after so many minutes.
    #[arg(long, default_value_t = 0)]
    minutes: u64,
    /// What the functions run as: those that are killed as processes of their own on the embedded store, or all of them as on
    /// Knative, with `MariaDB` and nginx.
    #[arg(long, value_enum, default_value_t)]
    target: Target,
    /// The short form of each scenario, as in the tests.
    #[arg(long)]
    short: bool,
    /// Only scenarios whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
    /// Keep what the processes have logged when something fails.
    #[arg(long)]
    keep: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("break: FAILED: {failed} scenarios");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("break: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// How many scenarios failed.
async fn run(options: &Options) -> anyhow::Result<u32> {
    let binaries = build()?;
    let form = if options.short {
        Form::Short
    } else {
        Form::Long
    };
    let until = Instant::now() + Duration::from_mins(options.minutes);
    let (mut failed, mut round, mut runs, mut kills) = (0, 0, 0, 0);
    while round == 0 || Instant::now() < until {
        round += 1;
        let meant = ALL.iter().filter(|it| it.name.contains(&options.only));
        for scenario in meant.filter(|it| it.runs_on(options.target)) {
            if round > 1 && Instant::now() >= until {
                break;
            }
            // Each has a fleet of its own: access tokens live for fifteen minutes.
            let fleet = Fleet::start_on(options.target, &binaries).await?;
            let outcome = scenario.run(&fleet, form).await;
            println!("{outcome}");
            (runs, kills) = (runs + 1, kills + outcome.kills);
            if outcome.result.is_err() {
                failed += 1;
                if let Some(keep) = &options.keep {
                    keep_logs(&fleet, &keep.join(format!("{round}-{}", scenario.name)))?;
                }
            }
        }
    }
    println!("{runs} scenarios in {round} rounds, {kills} kills, {failed} failed");
    Ok(failed)
}

fn keep_logs(fleet: &Fleet, to: &std::path::Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(&fleet.dir)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            std::fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// Builds what is killed in this binary's own profile; answers with its directory.
fn build() -> anyhow::Result<PathBuf> {
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let mut command = std::process::Command::new("cargo");
    command.args([
        "build",
        "--locked",
        "--quiet",
        "--examples",
        "--profile",
        profile,
    ]);
    command.args(["--manifest-path", manifest]);
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "the build failed: {status}");
    let binary = std::env::current_exe()?;
    let directory = binary.parent().context("no build directory")?;
    Ok(directory.join("examples"))
}
