//! Simulation: the functions' shipped code under a scheduler that decides every interleaving and every fault.
//!
//! What runs is what ships: the routers of `spike`, `order-writer`, `sweeper`, `order-pay`, `order-cancel` and
//! `admin-spikes`, and the Lua files of `stock` in a Lua 5.1. Simulated are only the parts around them: a small Redis
//! ([`redis`], [`lua`], [`connection`]), the durable store ([`store`], which passes the conformance suite of the port), the
//! broker ([`world`]) and time. One seed is one schedule ([`schedule`]); the invariants are checked after every step, and
//! once more when everything has come to rest ([`check`]). [`mutation`] lists deliberate defects that must be caught.

pub mod actors;
pub mod check;
pub mod connection;
pub mod lua;
pub mod mutation;
pub mod plan;
pub mod redis;
pub mod report;
pub mod schedule;
pub mod shape;
pub mod steps;
pub mod store;
pub mod world;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub use mutation::Mutation;
pub use schedule::{Failure, Passed, Tally};
pub use shape::Shape;

/// Runs the schedules `first..first + count` on all cores; the first failure that is found ends it.
pub fn run_many(
    first: u64,
    count: u64,
    shape: Shape,
    mutation: Option<Mutation>,
) -> Result<Tally, Box<Failure>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, stopped) = (AtomicU64::new(first), AtomicBool::new(false));
    let work = || {
        let mut sum = Tally::default();
        while !stopped.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first.saturating_add(count) {
                break;
            }
            match schedule::run(seed, shape, mutation, false) {
                Ok(passed) => sum += passed.tally,
                Err(failure) => {
                    stopped.store(true, Ordering::Relaxed);
                    return Err(failure);
                }
            }
        }
        Ok(sum)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut sum = Tally::default();
        for worker in workers {
            match worker.join() {
                Ok(tally) => sum += tally?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(sum)
    })
}

#[cfg(test)]
mod tests;
