//! What every client of AWS needs, and no more: whose requests they are, where they go, and TLS.
//!
//! Lambda puts credentials into the environment and replaces them together with it, so they are read once, and nothing is
//! looked up: no profile, no instance metadata, no region (ADR 23). The variables are AWS' own; the SDK's usual loader reads
//! them as well.

#[cfg(feature = "sdk")]
mod client;
#[cfg(feature = "secrets")]
pub mod secrets;

pub use aws_credential_types::Credentials;
#[cfg(feature = "sdk")]
pub use client::{http_client, into_ping};
use url::Url;

/// A variable of AWS is missing or wrong. Never holds the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// It is not there, or empty.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// It is to be an address, and is none.
    #[error("{0} is not an http:// or https:// URL")]
    Address(&'static str),
}

/// A service that may be elsewhere than at AWS: an emulator, or a private endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The durable store.
    DynamoDb,
    /// The secrets.
    SecretsManager,
    /// The queue.
    Sqs,
}

impl Service {
    /// As the SDK calls it (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
    const fn variable(self) -> &'static str {
        match self {
            Self::DynamoDb => "AWS_ENDPOINT_URL_DYNAMODB",
            Self::SecretsManager => "AWS_ENDPOINT_URL_SECRETS_MANAGER",
            Self::Sqs => "AWS_ENDPOINT_URL_SQS",
        }
    }
}

/// Whose requests they are: the role of the function.
pub fn credentials() -> Result<Credentials, EnvironmentError> {
    credentials_from(read)
}

/// Where the service is, if it is not where AWS has it. Plain HTTP is allowed here, and nowhere else.
pub fn endpoint(service: Service) -> Result<Option<Url>, EnvironmentError> {
    endpoint_from(read, service)
}

/// The region of the function.
#[must_use]
pub fn region() -> Option<String> {
    read("AWS_REGION")
}

fn credentials_from(
    read: impl Fn(&str) -> Option<String>,
) -> Result<Credentials, EnvironmentError> {
    let required = |name| read(name).ok_or(EnvironmentError::Missing(name));
    Ok(Credentials::new(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        read("AWS_SESSION_TOKEN"),
        None,
        "environment",
    ))
}

fn endpoint_from(
    read: impl Fn(&str) -> Option<String>,
    service: Service,
) -> Result<Option<Url>, EnvironmentError> {
    let name = service.variable();
    let Some(text) = read(name) else {
        return Ok(None);
    };
    let url = Url::parse(&text).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.map(Some).ok_or(EnvironmentError::Address(name))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the variables are those of AWS, which its SDK reads in the same way; ours are read by runtime::env"
)]
fn read(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(given: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        |name| {
            let found = given.iter().find(|(given, _)| *given == name);
            found.map(|(_, text)| (*text).to_owned())
        }
    }

    #[test]
    fn credentials_are_those_of_the_environment() {
        let given = among(&[
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_SESSION_TOKEN", "session"),
        ]);
        let credentials = credentials_from(given).unwrap();
        assert_eq!(credentials.access_key_id(), "id");
        assert_eq!(credentials.session_token(), Some("session"));
        assert!(!format!("{credentials:?}").contains("hunter2"));
        let missing = credentials_from(among(&[("AWS_ACCESS_KEY_ID", "id")])).unwrap_err();
        assert_eq!(missing.to_string(), "AWS_SECRET_ACCESS_KEY is not set");
    }

    #[test]
    fn a_service_is_where_aws_has_it_unless_the_environment_says_otherwise() {
        let local = [("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9324")];
        let given = among(Box::leak(Box::new(local)));
        let sqs = endpoint_from(&given, Service::Sqs).unwrap().unwrap();
        assert_eq!(sqs.as_str(), "http://127.0.0.1:9324/");
        assert_eq!(endpoint_from(&given, Service::DynamoDb), Ok(None));
        let wrong = among(&[("AWS_ENDPOINT_URL_DYNAMODB", "hunter2")]);
        let error = endpoint_from(wrong, Service::DynamoDb).unwrap_err();
        assert_eq!(
            error.to_string(),
            "AWS_ENDPOINT_URL_DYNAMODB is not an http:// or https:// URL"
        );
    }
}
