//! The durable store: accounts, sessions, spikes, orders and dead letters.
//!
//! [`Store`] is a port. Its adapter is chosen by the scheme of `STORE_URL` in [`connect`]; [`conformance`] is what every
//! adapter must pass. **The store is the truth**: every transition is one conditional write, and the store decides every
//! race.

pub mod port;

pub use port::{
    Claim, DeadLetter, DeadLetters, Error, Holder, LoginAttempts, Mark, Orders, Page, Placement, Refunded,
    Rejection, Retirement, Rotation, Session, Sessions, Spikes, Store, Taken, Transitioned, Users,
};
