//! The short form of every scenario, against processes that are killed for good.

#[cfg(test)]
mod scenarios;
