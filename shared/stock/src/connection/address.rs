//! What `STOCK_URL` names.
//!
//! `redis://HOST:PORT`, `redis+unix:///PATH`, and with the feature `tls` `rediss://USER:PASSWORD@HOST:PORT`: TLS, the server's
//! certificate checked against Mozilla's roots, which are built in, or against those in the PEM file that the parameter `ca`
//! names instead (`rediss://...?ca=/etc/spike/ca.pem`).

use std::time::Duration;

use redis::{
    Client, ConnectionInfo, IntoConnectionInfo, RedisResult,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use url::Url;

/// How long a peer that has vanished without a word is believed in.
const VANISHED: Duration = Duration::from_secs(5);

/// A client of the server at this address. Nothing is connected yet.
pub(super) fn client(url: &Url) -> RedisResult<Client> {
    let keepalive = TcpKeepalive::new()
        .with_time(VANISHED)
        .with_interval(Duration::from_secs(1));
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(VANISHED);
    let info = url.as_str().into_connection_info()?.set_tcp_settings(tcp);
    open(url, info)
}

#[cfg(not(feature = "tls"))]
fn open(_: &Url, info: ConnectionInfo) -> RedisResult<Client> {
    Client::open(info)
}

#[cfg(feature = "tls")]
fn open(url: &Url, info: ConnectionInfo) -> RedisResult<Client> {
    if url.scheme() != "rediss" {
        return Client::open(info);
    }
    // An error means that the process has one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let authority = url.query_pairs().find(|(name, _)| name == "ca");
    let Some((_, path)) = authority else {
        return Client::open(info);
    };
    let certificates = redis::TlsCertificates {
        client_tls: None,
        root_cert: Some(std::fs::read(path.as_ref())?),
    };
    Client::build_with_tls(info, certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_one_is_refused() {
        for url in [
            "http://127.0.0.1:6379",
            "redis://0.0.0.0:6379",
            "redis://h/db",
        ] {
            assert!(client(&url.parse().unwrap()).is_err(), "{url}");
        }
        assert!(client(&"redis://127.0.0.1:6379".parse().unwrap()).is_ok());
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_file_of_roots_that_is_not_there_is_refused() {
        let url = "rediss://127.0.0.1:6379?ca=/nowhere/ca.pem";
        assert!(client(&url.parse().unwrap()).is_err());
    }
}
