//! Binary of `race`: prints the report and exits with 1 if a promise was broken, with 2 if the race could not be run.

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    match race::run(&race::Options::parse()).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::from(u8::from(!report.passed()))
        }
        Err(error) => {
            eprintln!("\nrace: {error:#}");
            ExitCode::from(2)
        }
    }
}
