//! A real `mariadbd`: the store of the Knative target.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// The account of the functions, and the database that it may use.
const NAME: &str = "spike";
/// As small as the tests' own, and as safe as in production: what is committed is on the disk.
const SETTINGS: [&str; 10] = [
    "--no-defaults",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--bind-address=127.0.0.1",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=16M",
    "--innodb-flush-log-at-trx-commit=1",
    "--performance-schema=OFF",
    "--max-connections=500",
    "--table-open-cache=2000",
];

/// Makes the server's files in `dir`, with the database and its account.
pub async fn install(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir(dir)?;
    // A server that starts deletes what it takes for temporary files of an earlier one.
    let temporary = dir.join("tmp");
    fs::create_dir(&temporary)?;
    let sql = format!(
        "CREATE DATABASE IF NOT EXISTS {NAME};\n\
         CREATE USER IF NOT EXISTS '{NAME}'@'%' IDENTIFIED BY '{NAME}';\n\
         GRANT ALL ON {NAME}.* TO '{NAME}'@'%';\n"
    );
    fs::write(dir.join("init.sql"), sql)?;
    let mut install = Command::new(program("mariadb-install-db")?);
    install.args(["--no-defaults", "--skip-test-db", "--skip-name-resolve"]);
    install.arg("--auth-root-authentication-method=normal");
    install.arg("--innodb-log-file-size=16M");
    install.arg(format!("--user={}", user().await?));
    install.arg(format!("--datadir={}", dir.join("data").display()));
    install.env("TMPDIR", temporary).stdin(Stdio::null());
    let output = install.output().await.context("mariadb-install-db")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "mariadb-install-db: {error}");
    Ok(())
}

/// The arguments of a server on these files.
pub async fn arguments(dir: &Path, port: u16) -> anyhow::Result<Vec<String>> {
    let mut arguments = SETTINGS.map(str::to_owned).to_vec();
    arguments.push(format!("--user={}", user().await?));
    arguments.push(format!("--port={port}"));
    for (name, file) in [
        ("datadir", "data"),
        ("socket", "sock"),
        ("tmpdir", "tmp"),
        ("init-file", "init.sql"),
    ] {
        arguments.push(format!("--{name}={}", dir.join(file).display()));
    }
    Ok(arguments)
}

/// What `STORE_URL` is, by way of this port.
#[must_use]
pub fn url(port: u16) -> String {
    format!("mysql://{NAME}:{NAME}@127.0.0.1:{port}/{NAME}")
}

/// Where Debian puts servers, an ordinary user does not look.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut places = std::env::split_paths(&path).chain(usual);
    let found = places.find_map(|place| Some(place.join(name)).filter(|it| it.is_file()));
    found.with_context(|| format!("{name} is not installed: scripts/install tests"))
}

/// A server that root starts wants to be told that it is to be root's.
async fn user() -> anyhow::Result<String> {
    let output = Command::new("id").arg("-un").output().await?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
