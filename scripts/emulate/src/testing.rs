//! The binaries of the test build as packages.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context as _, ensure};

/// Packs the binaries `break-NAME` that lie in `examples`, as `scripts/package-lambda` packs what is shipped; where the zips
/// are. What was packed before and has not changed since stays.
pub fn packages(examples: &Path) -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = examples.with_file_name("lambda");
    let binaries = tempfile::tempdir()?;
    let mut outdated = Vec::new();
    for entry in fs::read_dir(root.join("functions"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let built = examples.join(format!("break-{name}"));
        if !built.is_file() {
            continue;
        }
        let zip = out.join(format!("{name}.zip"));
        if changed_at(&zip).is_none_or(|packed| changed_at(&built).is_none_or(|it| it >= packed)) {
            std::os::unix::fs::symlink(&built, binaries.path().join(&name))?;
            outdated.push(name);
        }
    }
    if !outdated.is_empty() {
        let mut pack = Command::new(root.join("scripts/package-lambda"));
        pack.arg("--binaries")
            .arg(binaries.path())
            .arg("--out")
            .arg(&out);
        pack.args(["--only", &outdated.join(",")]);
        let status = pack
            .status()
            .context("cannot start scripts/package-lambda")?;
        ensure!(status.success(), "scripts/package-lambda failed");
    }
    ensure!(
        out.join("spike.zip").is_file(),
        "{} has no functions: cargo build -p break --examples",
        examples.display()
    );
    Ok(out)
}

fn changed_at(file: &Path) -> Option<SystemTime> {
    let changed_at = |file: &Path| -> io::Result<SystemTime> { fs::metadata(file)?.modified() };
    changed_at(file).ok()
}
