//! The durable store: accounts, sessions, spikes, orders and dead letters.
//!
//! [`Store`] is a port. Its adapter is chosen by the scheme of `STORE_URL` in [`connect`]; [`conformance`] is what every
//! adapter must pass. **The store is the truth**: every transition is one conditional write, and the store decides every
//! race.

#[cfg(any(feature = "dynamodb", feature = "mysql"))]
mod backoff;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod connect;
#[cfg(any(feature = "dynamodb", feature = "mysql"))]
mod cursor;
#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "mysql")]
mod mysql;
pub mod port;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use connect::{ConnectError, PrepareError, connect, prepare};
#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamoStore;
#[cfg(feature = "mysql")]
pub use mysql::{MigrateError, MySqlStore};
pub use port::{
    Claim, DeadLetter, DeadLetters, Error, Holder, LoginAttempts, Mark, Orders, Page, Placement,
    Refunded, Rejection, Retirement, Rotation, Session, Sessions, Spikes, Store, Transitioned,
    Users,
};
