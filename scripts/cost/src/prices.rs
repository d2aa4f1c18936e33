//! The table of prices.

use anyhow::Context as _;
use serde::Deserialize;

const TABLE: &str = include_str!("../prices.toml");

/// `prices.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// Year and month.
    pub(crate) as_of: String,
    /// Where.
    pub(crate) region: String,
    /// In USD.
    pub(crate) prices: Prices,
    /// What is paid by the hour or month.
    pub(crate) made: Made,
}

/// Prices in USD; what each is for stands in the file.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prices {
    pub(crate) api_million: f64,
    pub(crate) lambda_million: f64,
    pub(crate) lambda_gb_second: f64,
    pub(crate) sqs_million: f64,
    pub(crate) write_million: f64,
    pub(crate) read_million: f64,
    pub(crate) ecpu_million: f64,
    pub(crate) cache_gb_hour: f64,
    pub(crate) log_gb: f64,
    pub(crate) alarm_month: f64,
    pub(crate) dashboard_month: f64,
    pub(crate) scheduler_million: f64,
    pub(crate) secret_month: f64,
    pub(crate) endpoint_hour: f64,
}

/// How much of it there is.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    pub(crate) cache_gb: f64,
    pub(crate) endpoint_zones: f64,
    pub(crate) secrets: f64,
    pub(crate) dashboards: f64,
    pub(crate) timers: f64,
    pub(crate) polls_per_queue_minute: f64,
    pub(crate) queues: f64,
}

impl Table {
    /// Reads the table that this program was built with.
    pub(crate) fn read() -> anyhow::Result<Self> {
        toml::from_str(TABLE).context("prices.toml")
    }
}
