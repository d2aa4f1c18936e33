//! Provisioned concurrency of Lambda functions, on their alias `live`.
//!
//! `GET`, `PUT` and `DELETE /2019-09-30/functions/{function}/provisioned-concurrency?Qualifier=live`
//! (<https://docs.aws.amazon.com/lambda/latest/api/API_PutProvisionedConcurrencyConfig.html>), signed with Signature Version 4.
//!
//! The provisioned concurrency of `live` is ours alone: whoever deploys the functions gives them none. So there is nothing
//! to remember, and to undo it is to delete it. AWS keeps no version of it; two runs at once write the same number.

use std::time::SystemTime;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use bytes::Bytes;
use domain::Clock;
use http::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{
    Applied, Capacity, CapacityError, Level, TrustError,
    https::{Answer, Https},
    refusal,
};

/// The alias through which everything calls the functions.
const ALIAS: &str = "live";
/// The 404 that means that there is none, as opposed to one about the function or its alias.
const NONE_THERE: &str = "ProvisionedConcurrencyConfigNotFoundException";

/// The Lambda functions of one account and region.
pub struct Aws {
    https: Https,
    endpoint: String,
    prefix: String,
    region: String,
    credentials: Credentials,
    clock: Clock,
}

#[derive(Deserialize)]
struct Provisioned {
    #[serde(rename = "RequestedProvisionedConcurrentExecutions")]
    requested: u32,
    #[serde(rename = "Status")]
    status: String,
}

impl Aws {
    /// The functions whose names are `prefix` and the function's, behind the API at `endpoint`. Trusts whom the machine
    /// trusts. The credentials are those of the execution environment, which Lambda replaces together with it.
    pub fn new(
        endpoint: &Url,
        region: &str,
        prefix: &str,
        credentials: Credentials,
        clock: Clock,
    ) -> Result<Self, TrustError> {
        let https = if endpoint.scheme() == "http" {
            Https::trusting_nobody()?
        } else {
            Https::trusting(rustls_native_certs::load_native_certs().certs)?
        };
        Ok(Self {
            https,
            endpoint: endpoint.as_str().trim_end_matches('/').to_owned(),
            prefix: prefix.to_owned(),
            region: region.to_owned(),
            credentials,
            clock,
        })
    }

    async fn call(
        &self,
        method: Method,
        function: &str,
        body: Vec<u8>,
    ) -> Result<Answer, CapacityError> {
        let (endpoint, prefix) = (&self.endpoint, &self.prefix);
        let uri = format!(
            "{endpoint}/2019-09-30/functions/{prefix}{function}/provisioned-concurrency?Qualifier={ALIAS}"
        );
        let request = self.signed(&method, &uri, &body);
        self.https
            .send(request.map_err(CapacityError::Credentials)?)
            .await
    }

    fn signed(
        &self,
        method: &Method,
        uri: &str,
        body: &[u8],
    ) -> Result<Request<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
        let identity = self.credentials.clone().into();
        let now = u64::try_from((self.clock)().as_millis())?;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("lambda")
            .time(SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(now))
            .settings(SigningSettings::default())
            .build()?
            .into();
        let host = Url::parse(uri)?;
        let host = &host[url::Position::BeforeHost..url::Position::AfterPort];
        let headers = [("host", host), ("content-type", "application/json")];
        let signable = SignableRequest::new(
            method.as_str(),
            uri,
            headers.into_iter(),
            SignableBody::Bytes(body),
        )?;
        let (instructions, _) = sign(signable, &params)?.into_parts();
        let mut request = Request::builder().method(method.clone()).uri(uri);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Bytes::copy_from_slice(body))?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

#[async_trait]
impl Capacity for Aws {
    async fn level(&self, function: &str) -> Result<Level, CapacityError> {
        let answer = self.call(Method::GET, function, Vec::new()).await?;
        let (at, noted) = match answer.status {
            StatusCode::OK => {
                let provisioned: Provisioned = serde_json::from_slice(&answer.body)
                    .map_err(|_| CapacityError::Unreadable("no provisioned concurrency"))?;
                // What AWS has given up on is not there; the next run asks again, or takes it away.
                let failed = provisioned.status == "FAILED";
                if failed {
                    tracing::warn!(function, provisioned.requested, "AWS had no room for it");
                }
                (if failed { 0 } else { provisioned.requested }, true)
            }
            StatusCode::NOT_FOUND if answer.is(NONE_THERE) => (0, false),
            status => return Err(refusal(status, answer.message())),
        };
        Ok(Level {
            own: None,
            at,
            at_most: None,
            noted,
            version: String::new(),
        })
    }

    async fn set(&self, function: &str, _seen: &Level, to: u32) -> Result<Applied, CapacityError> {
        let answer = if to == 0 {
            self.call(Method::DELETE, function, Vec::new()).await?
        } else {
            let body = json!({ "ProvisionedConcurrentExecutions": to });
            let body = body.to_string().into_bytes();
            self.call(Method::PUT, function, body).await?
        };
        match answer.status {
            status if status.is_success() => Ok(Applied::Done),
            StatusCode::NOT_FOUND if to == 0 && answer.is(NONE_THERE) => Ok(Applied::Done),
            // Another change of the function is under way.
            StatusCode::CONFLICT => Ok(Applied::Conflict),
            status => Err(refusal(status, answer.message())),
        }
    }
}

impl Answer {
    /// Whether AWS calls its refusal this. The name may be followed by a colon and an address.
    fn is(&self, name: &str) -> bool {
        self.error_type.split(':').next() == Some(name)
    }
}

#[cfg(test)]
mod tests;
