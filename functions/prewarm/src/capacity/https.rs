//! One HTTPS client for both platforms: rustls, HTTP/1.1, bounded waits and answers.
//!
//! Each platform needs two or three calls; its own client library would be the largest part of the binary (ADR 20).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};

use super::CapacityError;

/// From the start of a call to the end of its answer, connecting included.
const DEADLINE: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// A Knative Service is some kilobytes long.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Nobody can be trusted with what was given.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// There is no certificate in it that can be used.
    #[error("no usable root certificate")]
    NoRoot,
    /// The TLS library has none of its own protocol versions.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// What AWS calls its errors by; nobody else does.
    #[cfg_attr(
        not(feature = "aws"),
        expect(dead_code, reason = "only AWS names errors in a header")
    )]
    pub(super) error_type: String,
    pub(super) body: Bytes,
}

#[derive(Clone)]
pub(super) struct Https(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// The deadline passed.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", DEADLINE.as_secs())]
struct Late;

impl Https {
    /// A client that trusts these roots and no others.
    pub(super) fn trusting(
        roots: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, TrustError> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        if store.is_empty() {
            return Err(TrustError::NoRoot);
        }
        Self::over(store)
    }

    /// A client that trusts nobody: for an endpoint without TLS, as emulators have it.
    #[cfg(feature = "aws")]
    pub(super) fn trusting_nobody() -> Result<Self, TrustError> {
        Self::over(RootCertStore::empty())
    }

    fn over(store: RootCertStore) -> Result<Self, TrustError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        let mut http = HttpConnector::new();
        // A request of two writes would wait for the delayed acknowledgement of the first.
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_WITHIN));
        http.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        // No connection is kept: a run is over in a second, and the next is a minute away.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(Self(client))
    }

    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Answer, CapacityError> {
        let call = async {
            let answer = self.0.request(request.map(Full::new)).await;
            let answer = answer.map_err(|error| CapacityError::Away(Box::new(error)))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let error_type = head.headers.get("x-amzn-errortype");
            let error_type = error_type.and_then(|text| text.to_str().ok());
            Ok(Answer {
                status: head.status,
                error_type: error_type.unwrap_or_default().to_owned(),
                body: body.map_err(CapacityError::Away)?.to_bytes(),
            })
        };
        let answer = tokio::time::timeout(DEADLINE, call).await;
        answer.map_err(|_| CapacityError::Away(Box::new(Late)))?
    }
}

impl Answer {
    /// What the platform said about its refusal: the JSON field `message`, cut to what a log line can bear.
    pub(super) fn message(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = body.get("message").or_else(|| body.get("Message"));
        let text = text.and_then(serde_json::Value::as_str);
        text.unwrap_or("no message").chars().take(300).collect()
    }
}
