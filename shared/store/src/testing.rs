//! Real stores for tests: the embedded engine, in memory, behind its own port; and a server of `MariaDB`.

#[cfg(feature = "dynamodb")]
mod engine;
#[cfg(feature = "mysql")]
mod mariadb;
mod ports;

#[cfg(all(test, feature = "dynamodb"))]
pub(crate) use engine::dynamo_store;
#[cfg(feature = "dynamodb")]
pub use engine::{Guard, store};
#[cfg(feature = "mysql")]
pub use mariadb::{Database, MariaDb, mariadb, mariadb_with, mysql, shared_mariadb};
pub use ports::free_port;

#[cfg(all(test, feature = "mysql"))]
pub(crate) use mariadb::{mysql_store, mysql_store_at};
