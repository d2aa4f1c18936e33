//! Secrets, read by their ARNs from Secrets Manager: one signed `GetSecretValue` each
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>).
//!
//! A function reads one to three of them, once, when it starts. The SDK's client would be the largest part of a small
//! function.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::future::try_join_all;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_json::json;
use url::{Position, Url};

use crate::{Credentials, EnvironmentError};

/// For all secrets together, connecting included.
const WITHIN: Duration = Duration::from_secs(2);
/// Secrets have at most 64 KiB.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Why a secret was not read. Names it, and never shows it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Not the ARN of a secret.
    #[error("{0:?} is not the ARN of a secret")]
    NotArn(String),
    /// A variable of AWS is missing or wrong.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// TLS, or the signature, cannot be set up.
    #[error("a request to Secrets Manager cannot be made")]
    Unsendable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer.
    #[error("Secrets Manager did not answer about {arn}")]
    Away {
        /// Of which secret.
        arn: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer, and not the secret.
    #[error("Secrets Manager refused {arn} with status {status}: {kind}")]
    Refused {
        /// Of which secret.
        arn: String,
        /// HTTP status.
        status: u16,
        /// What AWS calls it, for instance `AccessDeniedException`.
        kind: String,
    },
    /// All of it took too long.
    #[error("Secrets Manager did not answer within {} s", WITHIN.as_secs())]
    Late,
}

/// Reads secrets.
pub struct Secrets {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    credentials: Credentials,
    endpoint: Option<Url>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Value {
    secret_string: Option<String>,
    secret_binary: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "__type")]
    kind: String,
}

impl Secrets {
    /// A reader with these credentials, at this endpoint or at that of each secret's region.
    pub fn new(credentials: Credentials, endpoint: Option<Url>) -> Result<Self, SecretError> {
        let mut roots = RootCertStore::empty();
        if endpoint.as_ref().is_none_or(|url| url.scheme() != "http") {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unsendable)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http = HttpConnector::new();
        // A request of two writes would wait for the delayed acknowledgement of the first.
        http.set_nodelay(true);
        http.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            credentials,
            endpoint,
        })
    }

    /// The texts of these secrets, all read at the same time, within two seconds. `now` is the time that signatures carry.
    pub async fn read(&self, arns: &[&str], now: SystemTime) -> Result<Vec<String>, SecretError> {
        let reads = try_join_all(arns.iter().map(|arn| self.read_one(arn, now)));
        let read = tokio::time::timeout(WITHIN, reads).await;
        read.map_err(|_| SecretError::Late)?
    }

    async fn read_one(&self, arn: &str, now: SystemTime) -> Result<String, SecretError> {
        let away = |source| SecretError::Away {
            arn: arn.to_owned(),
            source,
        };
        let request = self.request(arn, now)?;
        let answer = self.client.request(request.map(Full::new)).await;
        let (head, body) = answer.map_err(|error| away(Box::new(error)))?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(away)?.to_bytes();
        if head.status != StatusCode::OK {
            let kind = serde_json::from_slice::<Refusal>(&body)
                .map_or_else(|_| "no reason".to_owned(), |it| it.kind);
            return Err(SecretError::Refused {
                arn: arn.to_owned(),
                status: head.status.as_u16(),
                kind,
            });
        }
        let text = serde_json::from_slice::<Value>(&body)
            .ok()
            .and_then(Value::text);
        text.ok_or_else(|| away("an answer without a secret".into()))
    }

    fn request(&self, arn: &str, now: SystemTime) -> Result<Request<Bytes>, SecretError> {
        let region = region(arn).ok_or_else(|| SecretError::NotArn(arn.to_owned()))?;
        let url = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => Url::parse(&format!("https://secretsmanager.{region}.amazonaws.com/"))
                .map_err(unsendable)?,
        };
        let body = json!({ "SecretId": arn }).to_string();
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("secretsmanager")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(unsendable)?
            .into();
        let headers = [
            ("host", &url[Position::BeforeHost..Position::AfterPort]),
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "secretsmanager.GetSecretValue"),
        ];
        let signable = SignableRequest::new(
            "POST",
            url.as_str(),
            headers.into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        );
        let signed = sign(signable.map_err(unsendable)?, &params).map_err(unsendable)?;
        let mut request = Request::post(url.as_str());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Bytes::from(body)).map_err(unsendable)?;
        signed.into_parts().0.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

impl Value {
    fn text(self) -> Option<String> {
        self.secret_string.or_else(|| {
            let bytes = STANDARD.decode(self.secret_binary?).ok()?;
            String::from_utf8(bytes).ok()
        })
    }
}

/// Of `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME`, the region.
fn region(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    let is_ours = parts.next() == Some("arn")
        && parts.next().is_some()
        && parts.next() == Some("secretsmanager");
    let region = parts.next().filter(|it| is_ours && !it.is_empty())?;
    let is_plain = |it: &str| {
        it.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    is_plain(region).then_some(region)
}

fn unsendable(error: impl std::error::Error + Send + Sync + 'static) -> SecretError {
    SecretError::Unsendable(Box::new(error))
}

#[cfg(test)]
mod tests;
