//! Real processes, really killed: every function as a process of its own, with a real Redis, the store and the broker, and
//! whatever can go wrong with them while people buy.
//!
//! Each scenario is a row of the list of faults. It breaks something while a sale runs, waits until nothing is under way any
//! more, and asks from outside whether the sale kept its promises. `cargo test` runs the short form of each;
//! `cargo run --release -p break -- --minutes 30` repeats the long one.

pub mod audit;
pub mod fleet;
pub mod gateway;
pub mod guard;
pub mod logs;
pub mod manifest;
pub mod mariadb;
pub mod nginx;
pub mod redis;
pub mod scenarios;
pub mod service;
pub mod shop;
pub mod tap;
pub mod wire;
