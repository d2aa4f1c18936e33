//! Starts one process under the guard, prints its id, and waits to be killed: what a test of the guard kills.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Context as _;
use r#break::guard::Guard;

fn main() -> anyhow::Result<()> {
    let directory = std::env::args_os().nth(1).context("no directory")?;
    let guard = Guard::start(&PathBuf::from(directory))?;
    let mut command = Command::new("sleep");
    command.arg("600").stdout(Stdio::null());
    let mut child = command.spawn().context("cannot start sleep")?;
    guard.watch(child.id());
    println!("{}", child.id());
    child.wait()?;
    Ok(())
}
