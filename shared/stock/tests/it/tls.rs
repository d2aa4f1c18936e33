//! Redis behind TLS, with the user and the rights that AWS gives (`infra/terraform/cache.tf`).

use std::path::Path;

use stock::{Error, Stock, Supply, testing};
use url::Url;

use crate::kit::Kit;

/// The `access_string` of `aws_elasticache_user.functions`.
const RIGHTS: &str =
    "~spike:* resetchannels -@all +@read +@write +@scripting +@connection +time +info";

struct Encrypted {
    redis: testing::Redis,
    files: tempfile::TempDir,
    port: u16,
}

impl Encrypted {
    fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let write = |name: &str, text: String| {
            let path = files.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (cert, key) = (
            write("cert.pem", made.cert.pem()),
            write("key.pem", made.signing_key.serialize_pem()),
        );
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let port_text = port.to_string();
        let mut args = vec![
            "--bind",
            "127.0.0.1",
            "--tls-port",
            &port_text,
            "--tls-cert-file",
            &cert,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &cert,
            "--tls-auth-clients",
            "no",
            "--user",
            "spike",
            "on",
            ">hunter2",
        ];
        args.extend(RIGHTS.split(' '));
        let redis = testing::redis_with(&args);
        Self { redis, files, port }
    }

    fn url(&self, host: &str, password: &str, authority: Option<&Path>) -> Url {
        let mut url: Url = format!("rediss://spike:{password}@{host}:{}", self.port)
            .parse()
            .unwrap();
        if let Some(authority) = authority {
            url.query_pairs_mut()
                .append_pair("ca", &authority.display().to_string());
        }
        url
    }

    async fn stock(&self, url: &Url) -> Result<(), Error> {
        let stock = Stock::connect(url, testing::clock()).await?;
        let kit = Kit::on(&self.redis).await;
        stock.sale(kit.spike_id).await.map(drop)
    }
}

#[tokio::test]
async fn a_sale_runs_over_tls_with_the_rights_that_aws_gives() {
    let server = Encrypted::start();
    let ca = server.files.path().join("cert.pem");
    let url = server.url("localhost", "hunter2", Some(&ca));
    let stock = Stock::connect(&url, testing::clock());
    let mut kit = Kit::on(&server.redis).await;
    kit.stock = stock.await.unwrap();
    kit.load(&kit.config(), 3, Supply::Untouched).await;
    let bought = kit.buy(2).await;
    assert!(kit.stock.ack(&bought).await.unwrap());
    assert_eq!(kit.release(&bought).await, 2);
    assert_eq!(kit.left().await, 3);
}

#[tokio::test]
async fn nobody_else_is_trusted_and_nobody_else_is_let_in() {
    let server = Encrypted::start();
    let ca = server.files.path().join("cert.pem");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other_ca = server.files.path().join("other.pem");
    std::fs::write(&other_ca, other.cert.pem()).unwrap();
    for url in [
        server.url("localhost", "hunter2", Some(&other_ca)),
        server.url("localhost", "hunter2", None),
        server.url("127.0.0.1", "hunter2", Some(&ca)),
        server.url("localhost", "wrong", Some(&ca)),
    ] {
        let refused = server.stock(&url).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    }
}
