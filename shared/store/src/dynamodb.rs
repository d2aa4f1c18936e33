//! The adapter for Amazon `DynamoDB`, and for engines that speak its protocol.
//!
//! Every table has one key, the text `id`; [`tables`] is the list of tables, keys and indexes. Nothing that two orders
//! share is ever written for an order, so that no item is hot; no index is keyed by spike; nothing is scanned.
//!
//! Retries are ours, not the SDK's: see [`call`].

mod address;
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

use std::{sync::Arc, time::Duration};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{
        BehaviorVersion, Region, SharedHttpClient, StalledStreamProtectionConfig,
        retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use url::Url;

use crate::{ConnectError, Store};
use address::Address;

/// Within what a connection to the engine stands.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// Within what one request is answered, connecting included.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The store in `DynamoDB` tables.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    client: Client,
    /// What the names of tables begin with.
    prefix: Arc<str>,
}

impl DynamoStore {
    /// The store at `dynamodb://REGION?prefix=TEXT` (Amazon's, with the credentials of the environment) or
    /// `dynamodb+http://HOST:PORT?prefix=TEXT` (an engine without TLS; credentials and region are `local`). Nothing is sent yet.
    pub fn connect(url: &Url) -> Result<Self, ConnectError> {
        let address = Address::read(url)?;
        let http = aws::http_client(address.endpoint.starts_with("https:"));
        Ok(Self::at(address, http))
    }

    /// Opens the connection that the first call would wait for, within a second; a store that is away is met by that call.
    pub async fn warm(&self) {
        let ping = self.client.list_tables().customize();
        let _ = ping.mutate_request(aws::into_ping).send().await;
    }

    #[cfg(test)]
    fn through(http: SharedHttpClient, endpoint: &str) -> Self {
        Self::at(Address::local(endpoint.to_owned(), ""), http)
    }

    fn at(address: Address, http: SharedHttpClient) -> Self {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(address.region))
            .credentials_provider(address.credentials)
            .endpoint_url(address.endpoint)
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
            prefix: address.prefix,
        }
    }

    /// The table's name as the engine knows it.
    fn named(&self, table: &str) -> String {
        format!("{}{table}", self.prefix)
    }
}

impl Store for DynamoStore {}
