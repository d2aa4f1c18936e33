//! The stock protocol against a real Redis: every answer of every script, the nine rules, and what must hold when many
//! buy at once, when Redis forgets, and when it is full.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests unwrap like the tests themselves"
)]

mod clock;
mod concurrency;
mod connection;
mod faults;
mod kit;
mod model;
mod model_test;
mod outbox;
mod reserve;
mod rules;
mod sale;
mod supply;
mod tls;
mod view;
mod write_back;
