//! The HTTP client of the SDK's clients.

use std::time::Duration;

use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{http::SharedHttpClient, orchestrator::HttpRequest};
use aws_smithy_types::body::SdkBody;

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

/// Makes any request one that asks for nothing: services of AWS answer `GET /ping` before they ask who is there.
///
/// The connection that it opens is kept for the request after it, with its handshakes done. It does not matter what the
/// answer is, or whether there is one.
pub fn into_ping(request: &mut HttpRequest) {
    if let Ok(mut url) = url::Url::parse(request.uri()) {
        url.set_path("/ping");
        url.set_query(None);
        // The URL was one before.
        let _ = request.set_uri(url.as_str());
    }
    // So is this a method.
    let _ = request.set_method("GET");
    for name in ["content-length", "content-type", "x-amz-target"] {
        request.headers_mut().remove(name);
    }
    *request.body_mut() = SdkBody::empty();
}
