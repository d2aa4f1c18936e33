//! A sale under way: what spans the stock in Redis, the durable store and the access rules.
//!
//! The order of the steps is the protocol: **take Redis-first, give back store-first**. Each step is idempotent and each
//! write to Redis compares the holder, so any of these may stop after any step, and any number may run at once.

mod admission;
mod catalog;
mod load;
mod release;
mod retire;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::sync::Arc;

pub use admission::Admission;
pub use catalog::Catalog;
pub use load::{LoadOutcome, Loadable, load};
pub use release::{end_order, expire_order, finish_end, finish_release};
pub use retire::{Taken, retire_to_target, retire_unit};

/// Which part did not answer. Whoever gets it may repeat the call, unless it [is a defect](Error::is_defect).
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The durable store.
    #[error("the store did not answer")]
    Store(#[source] Arc<store::Error>),
    /// Redis.
    #[error("the stock did not answer")]
    Stock(#[source] Arc<stock::Error>),
}

impl Error {
    /// Whether something is kept that cannot be read: a defect of ours, which repeating the call does not mend.
    #[must_use]
    pub fn is_defect(&self) -> bool {
        match self {
            Self::Store(error) => !matches!(**error, store::Error::Unavailable(_)),
            Self::Stock(error) => matches!(**error, stock::Error::Unreadable(_)),
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<stock::Error> for Error {
    fn from(error: stock::Error) -> Self {
        Self::Stock(Arc::new(error))
    }
}

#[cfg(test)]
mod tests;
