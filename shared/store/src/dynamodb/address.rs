//! What `STORE_URL` names: where the engine is, whose requests it gets, and what its tables' names begin with.

use std::sync::Arc;

use aws::Credentials;
use url::Url;

use crate::ConnectError;

/// Where the engine is.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) endpoint: String,
    pub(super) region: String,
    pub(super) credentials: Credentials,
    pub(super) prefix: Arc<str>,
}

impl Address {
    /// An engine of our own: whoever reaches it may do everything.
    pub(super) fn local(endpoint: String, prefix: &str) -> Self {
        Self {
            endpoint,
            region: "local".to_owned(),
            credentials: Credentials::new("local", "local", None, None, "static"),
            prefix: prefix.into(),
        }
    }

    pub(super) fn read(url: &Url) -> Result<Self, ConnectError> {
        let host = url
            .host_str()
            .ok_or(ConnectError::Address("it has no host"))?;
        if !matches!(url.path(), "" | "/") {
            return Err(ConnectError::Address("it has a path"));
        }
        let prefix = prefix(url)?;
        if url.scheme() != "dynamodb" {
            let port = url.port().ok_or(ConnectError::Address("it has no port"))?;
            return Ok(Self::local(format!("http://{host}:{port}"), &prefix));
        }
        if url.port().is_some() || !is_region(host) {
            return Err(ConnectError::Address("its host is not a region of AWS"));
        }
        let elsewhere = aws::endpoint(aws::Service::DynamoDb)?;
        let endpoint = elsewhere.map_or_else(
            || format!("https://dynamodb.{host}.amazonaws.com"),
            |url| url.as_str().trim_end_matches('/').to_owned(),
        );
        Ok(Self {
            endpoint,
            region: host.to_owned(),
            credentials: aws::credentials()?,
            prefix: prefix.into(),
        })
    }
}

/// The parameter `prefix`; there is no other.
fn prefix(url: &Url) -> Result<String, ConnectError> {
    let mut prefix = String::new();
    for (name, value) in url.query_pairs() {
        if name != "prefix" {
            return Err(ConnectError::Address(
                "it has a parameter that is not known",
            ));
        }
        prefix = value.into_owned();
    }
    // What the name of a table may consist of; the longest of ours has 12 letters, and 255 are allowed.
    let is_plain = prefix
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_plain || prefix.len() > 200 {
        return Err(ConnectError::Address(
            "its prefix is not part of a table's name",
        ));
    }
    Ok(prefix)
}

fn is_region(host: &str) -> bool {
    host.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
