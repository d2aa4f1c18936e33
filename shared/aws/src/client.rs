//! The HTTP client of the SDK's clients.

use std::time::Duration;

use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// Idle connections are kept this long. Shorter than AWS keeps them, so that they rarely close under a request.
const IDLE: Duration = Duration::from_secs(15);

/// A client with TLS, which trusts whom the machine trusts, or without: that one reads no certificates.
#[must_use]
pub fn http_client(with_tls: bool) -> SharedHttpClient {
    let builder = Builder::new().pool_idle_timeout(IDLE);
    if with_tls {
        builder
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .build_https()
    } else {
        builder.build_http()
    }
}
