//! `deny.toml`: the one list of licences, banned crates and sources.
//!
//! The file is `cargo deny`'s (<https://embarkstudios.github.io/cargo-deny/checks/cfg.html>); only the keys that the
//! project uses are read here. A key that is not known here would be a rule that is silently not checked, so it is refused.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Which builds are looked at.
    pub graph: Graph,
    /// Which licences are acceptable.
    pub licenses: Licenses,
    /// Which crates are not.
    pub bans: Bans,
    /// Where crates may come from.
    pub sources: Sources,
}

/// Which builds are looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Graph {
    /// Target triples.
    pub targets: Vec<String>,
    /// Whether all features are switched on. Here they always are; the key is for `cargo deny`.
    pub all_features: bool,
}

/// Which licences are acceptable.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licenses {
    /// SPDX identifiers.
    pub allow: Vec<String>,
    /// More identifiers, for one crate each.
    #[serde(default)]
    pub exceptions: Vec<LicenseException>,
    /// Licences of crates that name none in their manifest.
    #[serde(default)]
    pub clarify: Vec<Clarification>,
}

/// More licences for one crate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenseException {
    /// The crate.
    #[serde(rename = "crate")]
    pub name: String,
    /// SPDX identifiers.
    pub allow: Vec<String>,
}

/// The licence of a crate that names none in its manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Clarification {
    /// The crate.
    #[serde(rename = "crate")]
    pub name: String,
    /// An SPDX expression.
    pub expression: String,
    /// Where somebody read it.
    pub license_files: Vec<LicenseFile>,
}

/// A file of a crate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenseFile {
    /// Its path in the crate.
    pub path: String,
    /// What `cargo deny` knows it by.
    pub hash: u32,
}

/// Which crates must not be linked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bans {
    /// What `cargo deny` does about two versions of a crate; not looked at here.
    pub multiple_versions: String,
    /// The crates.
    pub deny: Vec<Ban>,
}

/// A crate that must not be linked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ban {
    /// The crate.
    #[serde(rename = "crate")]
    pub name: String,
    /// Why not.
    pub reason: String,
    /// Crates that may use it all the same.
    #[serde(default)]
    pub wrappers: Vec<String>,
}

/// Where crates may come from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sources {
    /// What is done about other registries; only `deny` is understood.
    pub unknown_registry: Deny,
    /// What is done about git repositories; only `deny` is understood.
    pub unknown_git: Deny,
    /// The registries that are known.
    pub allow_registry: Vec<String>,
}

/// The only answer to a source that is not listed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deny {
    /// It is a violation.
    Deny,
}

impl Policy {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        Ok(toml::from_str(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_file_is_understood() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deny.toml");
        let policy = Policy::read(&path).unwrap();
        assert!(policy.licenses.allow.contains(&"MIT".to_owned()));
    }

    #[test]
    fn a_key_that_would_not_be_checked_is_refused() {
        let text = include_str!("../../../deny.toml");
        let more = format!("{text}\nallow-git = [\"https://example.org/fork\"]\n");
        assert!(Policy::parse(&more).is_err());
    }
}
