//! What `EVENTS_URL` names.

use url::{Position, Url};

use crate::ConnectError;

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queue {
    /// As SQS names it: `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`.
    pub(super) url: String,
    /// Where requests go.
    pub(super) endpoint: String,
    pub(super) region: String,
}

impl Queue {
    /// Reads `sqs+` and the queue's URL. Its host names the region, or else the environment does; requests go to that host,
    /// unless the service is `elsewhere`.
    pub(super) fn read(
        url: &Url,
        elsewhere: Option<&Url>,
        region: Option<String>,
    ) -> Result<Self, ConnectError> {
        let text = url.as_str().strip_prefix("sqs+");
        let queue = text.and_then(|text| Url::parse(text).ok());
        let queue =
            queue.filter(|url| url.has_host() && url.path().len() > 1 && url.query().is_none());
        let queue = queue.ok_or(ConnectError::Queue)?;
        let mut host = queue.host_str().unwrap_or_default().split('.');
        let of_host = match (host.next(), host.next(), host.next()) {
            (Some("sqs"), Some(region), Some("amazonaws")) => Some(region.to_owned()),
            _ => None,
        };
        let region = of_host.or(region).ok_or(ConnectError::Queue)?;
        let endpoint = elsewhere.unwrap_or(&queue);
        let endpoint = endpoint[..Position::BeforePath].to_owned();
        Ok(Self {
            url: queue.into(),
            endpoint,
            region,
        })
    }
}
