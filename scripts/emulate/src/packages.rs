//! The zips of `scripts/package-lambda`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// Unpacks `NAME.zip` of `packages` below `dir`, as Lambda does before it starts an instance; the path of `bootstrap`. None
/// if there is no such zip.
pub async fn unpack(packages: &Path, name: &str, dir: &Path) -> anyhow::Result<Option<PathBuf>> {
    let zip = packages.join(format!("{name}.zip"));
    if !zip.exists() {
        return Ok(None);
    }
    let task = dir.join(name);
    let mut unzip = Command::new("unzip");
    unzip.args(["-q", "-o"]).arg(&zip).arg("-d").arg(&task);
    let status = unzip.status().await.context("cannot start unzip")?;
    let bootstrap = task.join("bootstrap");
    ensure!(
        status.success() && bootstrap.is_file(),
        "{} has no bootstrap",
        zip.display()
    );
    Ok(Some(bootstrap))
}
