//! TLS by the parameters of the address: whoever asks who the server is talks to no other.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::{super::PATIENT, *};
use crate::{
    Spikes,
    testing::{MariaDb, mariadb_with},
};

/// An authority, and where its own certificate is.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        let file = dir.join(format!("{name}.pem"));
        std::fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, file }
    }

    /// The files of a certificate for `name`, and of its key.
    fn certify(&self, dir: &Path, name: &str) -> [PathBuf; 2] {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = ["certificate", "key"].map(|what| dir.join(format!("{name}-{what}.pem")));
        std::fs::write(&files[0], certificate.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        files
    }
}

/// A server that talks by TLS only, and is `localhost` by the word of an authority of its own.
struct Secured {
    server: MariaDb,
    authority: Authority,
    stranger: Authority,
    dir: tempfile::TempDir,
}

impl Secured {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path(), "authority");
        let stranger = Authority::new(dir.path(), "stranger");
        let [certificate, key] = authority.certify(dir.path(), "localhost");
        let server = mariadb_with(&[
            &format!("--ssl-cert={}", certificate.display()),
            &format!("--ssl-key={}", key.display()),
            &format!("--ssl-ca={}", authority.file.display()),
            "--require-secure-transport=ON",
        ]);
        Self {
            server,
            authority,
            stranger,
            dir,
        }
    }
}

/// The same database by another name of its server, and with these parameters.
fn address(database: &Url, host: &str, parameters: &[(&str, &str)]) -> Url {
    let mut url = database.clone();
    url.set_host(Some(host)).unwrap();
    url.query_pairs_mut().extend_pairs(parameters);
    url
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

/// Connects as a call of the store does; what stands in the way.
async fn connect(url: &Url) -> Result<MySqlConnection, String> {
    let store = MySqlStore::lazily(url, USUAL).unwrap();
    let connected = MySqlConnection::connect_with(&store.pool.connect_options()).await;
    connected.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_proves_who_it_is() {
    let secured = Secured::start();
    let database = secured.server.database().await;
    let ca = path(&secured.authority.file);
    let verified = [("ssl-mode", "VERIFY_IDENTITY"), ("ssl-ca", ca)];
    let url = address(&database, "localhost", &verified);
    let store = crate::testing::mysql_store_at(&url, PATIENT).await;
    assert_eq!(store.live_spikes().await.unwrap(), []);
    let mut connection = connect(&url).await.unwrap();
    let version = run(&mut connection, "SHOW SESSION STATUS LIKE 'Ssl_version'").await;
    let version: String = version[0].try_get(1).unwrap();
    assert_eq!(version, "TLSv1.3");

    // The same server by a name that is not in its certificate.
    let refused = connect(&address(&database, "127.0.0.1", &verified)).await;
    let refused = refused.unwrap_err();
    assert!(refused.contains("not valid for name"), "{refused}");
    // It is enough, where only the authority is asked for.
    let only_ca = [("ssl-mode", "VERIFY_CA"), ("ssl-ca", ca)];
    connect(&address(&database, "127.0.0.1", &only_ca))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_an_unknown_authority_is_refused() {
    let secured = Secured::start();
    let database = secured.server.database().await;
    let stranger = path(&secured.stranger.file);
    for parameters in [
        &[("ssl-mode", "VERIFY_IDENTITY"), ("ssl-ca", stranger)][..],
        &[("ssl-mode", "VERIFY_CA"), ("ssl-ca", stranger)],
        // Public authorities have not signed it either.
        &[("ssl-mode", "VERIFY_IDENTITY")],
    ] {
        let url = address(&database, "localhost", parameters);
        let refused = connect(&url).await.unwrap_err();
        assert!(refused.contains("UnknownIssuer"), "{refused}");
        // To whoever calls the store, it is away.
        let store = MySqlStore::lazily(&url, USUAL).unwrap();
        let answer = store.live_spikes().await;
        assert!(
            matches!(answer, Err(crate::Error::Unavailable(_))),
            "{answer:?}"
        );
    }
    let missing = [("ssl-mode", "VERIFY_CA"), ("ssl-ca", "/nowhere/ca.pem")];
    let url = address(&database, "localhost", &missing);
    assert!(connect(&url).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_wants_a_certificate_gets_ours() {
    let secured = Secured::start();
    let database = secured.server.database().await;
    let mut root = connection(&secured.server.root_url().parse().unwrap()).await;
    run(&mut root, "ALTER USER 'spike'@'%' REQUIRE X509").await;
    let ca = path(&secured.authority.file);
    let verified = [("ssl-mode", "VERIFY_IDENTITY"), ("ssl-ca", ca)];
    let bare = address(&database, "localhost", &verified);
    let refused = connect(&bare).await.unwrap_err();
    assert!(refused.contains("1045"), "{refused}");

    let [certificate, key] = secured.authority.certify(secured.dir.path(), "spike");
    let ours = [("ssl-cert", path(&certificate)), ("ssl-key", path(&key))];
    let url = address(&bare, "localhost", &ours);
    connect(&url).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_in_the_clear_to_a_server_that_wants_none_of_it() {
    let secured = Secured::start();
    let database = secured.server.database().await;
    let clear = address(&database, "127.0.0.1", &[("ssl-mode", "DISABLED")]);
    assert!(connect(&clear).await.is_err());
    // The default takes TLS where it is offered, whoever offers it.
    connect(&database).await.unwrap();
}
