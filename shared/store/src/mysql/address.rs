//! `STORE_URL`, read strictly.

use std::path::PathBuf;

use sqlx::{
    ConnectOptions,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};
use url::Url;

use crate::ConnectError;

/// How many connections a process has at most, if nothing else is said: `MySQL` takes 151 of all processes.
const CONNECTIONS: u32 = 8;
/// How many prepared statements one connection keeps; the server keeps 16,382 for all.
const STATEMENTS: usize = 128;

/// Where the store is.
pub(super) struct Address {
    /// The server, the account and the database.
    pub(super) options: MySqlConnectOptions,
    /// The size of the pool.
    pub(super) connections: u32,
}

pub(super) fn read(url: &Url) -> Result<Address, ConnectError> {
    let has_database = url.path_segments().is_some_and(|mut path| {
        path.next().is_some_and(|name| !name.is_empty()) && path.next().is_none()
    });
    if url.host_str().is_none_or(str::is_empty) {
        return Err(ConnectError::Address("it has no host"));
    }
    if !has_database {
        return Err(ConnectError::Address("its path is not one database"));
    }
    if url.username().is_empty() {
        return Err(ConnectError::Address("it has no user"));
    }
    let mut bare = url.clone();
    bare.set_query(None);
    let options = MySqlConnectOptions::from_url(&bare)
        .map_err(|_| ConnectError::Address("its user or password is no UTF-8"))?;
    // What the driver would set itself, the greeting sets.
    let options = options
        .disable_statement_logging()
        .statement_cache_capacity(STATEMENTS)
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .set_names(false);
    let address = Address {
        options,
        connections: CONNECTIONS,
    };
    url.query_pairs()
        .try_fold(address, |address, (name, value)| {
            address.with(&name, &value)
        })
}

impl Address {
    fn with(self, name: &str, value: &str) -> Result<Self, ConnectError> {
        let Self {
            options,
            connections,
        } = self;
        let file = || PathBuf::from(value);
        let options = match name {
            "ssl-mode" => options.ssl_mode(ssl_mode(value)?),
            "ssl-ca" => options.ssl_ca(file()),
            "ssl-cert" => options.ssl_client_cert(file()),
            "ssl-key" => options.ssl_client_key(file()),
            "socket" => options.socket(file()),
            "connections" => {
                let number = value
                    .parse()
                    .ok()
                    .filter(|number| (1..=100).contains(number));
                return Ok(Self {
                    options,
                    connections: number
                        .ok_or(ConnectError::Address("connections is not 1 to 100"))?,
                });
            }
            _ => return Err(ConnectError::Address("it has an unknown parameter")),
        };
        Ok(Self {
            options,
            connections,
        })
    }
}

fn ssl_mode(value: &str) -> Result<MySqlSslMode, ConnectError> {
    value.parse().map_err(|_| {
        ConnectError::Address(
            "ssl-mode is not DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY",
        )
    })
}
