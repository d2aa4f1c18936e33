//! The short form of every scenario, against processes that are killed for good; the contract of the Knative target; and the
//! images of functions, as containers.

#[cfg(test)]
mod failpoints;
#[cfg(test)]
mod fleets;
#[cfg(test)]
mod guard;
#[cfg(test)]
mod images;
#[cfg(test)]
mod knative;
#[cfg(test)]
mod scenarios;

#[cfg(test)]
use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// One sale at a time: a machine that is busy with two is slow at both.
#[cfg(test)]
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the functions' binaries are: tests lie in `deps`, and the examples beside that.
#[cfg(test)]
fn examples() -> PathBuf {
    let binary = std::env::current_exe().unwrap();
    binary.ancestors().nth(2).unwrap().join("examples")
}
