//! The rules of a flash sale: ids, units, money, time, sale windows, orders and their event.
//!
//! Nothing here does IO, waits or reads a clock: functions take `now`.

pub mod event;
pub mod ids;
pub mod money;
pub mod order;
pub mod order_view;
pub mod spike;
pub mod time;
pub mod units;
pub mod user;
pub mod verdict;

pub use event::OrderPlaced;
pub use ids::{OrderId, SpikeId, UserId};
pub use money::{Currency, Money};
pub use order::{Order, OrderState, RejectReason};
pub use order_view::OrderView;
pub use spike::{Gate, Rule, Spike};
pub use time::{Clock, Timestamp};
pub use units::{Unit, Units};
pub use user::{Role, User, Username};
pub use verdict::Verdict;

#[cfg(test)]
mod hostile;
