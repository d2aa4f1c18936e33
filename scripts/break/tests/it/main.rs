//! The short form of every scenario, against processes that are killed for good, and what the scenarios rest on.

#[cfg(test)]
mod failpoints;
#[cfg(test)]
mod guard;
#[cfg(test)]
mod scenarios;

/// Where the binaries lie that are killed: tests are in `deps`, and the examples beside that.
#[cfg(test)]
fn examples() -> std::path::PathBuf {
    let binary = std::env::current_exe().unwrap();
    binary.ancestors().nth(2).unwrap().join("examples")
}
