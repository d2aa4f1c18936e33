//! The adapter for Amazon `DynamoDB`, and for engines that speak its protocol.
//!
//! Every table has one key, the text `id`; [`tables`] is the list of tables, keys and indexes. Nothing that two orders
//! share is ever written for an order, so that no item is hot; no index is keyed by spike; nothing is scanned.
//!
//! Retries are ours, not the SDK's: see [`call`].

mod call;
mod claims;
mod dead_letters;
mod end;
mod item;
mod listing;
mod measure;
mod orders;
mod place;
mod request;
mod sessions;
mod spikes;
mod tables;
#[cfg(test)]
mod tests;
mod users;

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client, Config,
    config::{
        BehaviorVersion, Credentials, Region, SharedHttpClient, StalledStreamProtectionConfig,
        retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use url::Url;

use crate::{ConnectError, Store};

/// Within what a connection to the engine stands.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// Within what one request is answered, connecting included.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The store in `DynamoDB` tables.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    client: Client,
}

impl DynamoStore {
    /// The store at `dynamodb+http://HOST:PORT`: plain HTTP, credentials and region `local`. Nothing is sent yet.
    pub fn connect(url: &Url) -> Result<Self, ConnectError> {
        let host = url
            .host_str()
            .ok_or(ConnectError::Address("it has no host"))?;
        let port = url.port().ok_or(ConnectError::Address("it has no port"))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(ConnectError::Address("it has a path or a query"));
        }
        // `build_http` has no TLS: the default client would read the machine's root certificates at start.
        let http = aws_smithy_http_client::Builder::new().build_http();
        Ok(Self::through(http, &format!("http://{host}:{port}")))
    }

    fn through(http: SharedHttpClient, endpoint: &str) -> Self {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("local"))
            .credentials_provider(Credentials::new("local", "local", None, None, "static"))
            .endpoint_url(endpoint)
            .http_client(http)
            .interceptor(measure::Measure)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_WITHIN)
                    .operation_attempt_timeout(ANSWER_WITHIN)
                    .build(),
            )
            .build();
        Self {
            client: Client::from_conf(config),
        }
    }
}

impl Store for DynamoStore {}
