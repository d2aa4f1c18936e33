//! What may lie at the top of the project; everything else has a folder of its own.

use std::path::Path;

use anyhow::Context as _;

use crate::{Rule, Violation};

/// Names at the top. Hidden files and cargo's build directory are nobody's business.
const ALLOWED: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "deny.toml",
    "docs",
    "functions",
    "infra",
    "knative",
    "scripts",
    "shared",
    "target",
];

/// Finds files and folders that do not belong at the top of `root`.
pub fn check(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for entry in root.read_dir().context("cannot list the project")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !ALLOWED.contains(&name.as_str()) {
            violations.push(Violation::new(
                Rule::Layout,
                name,
                "does not belong at the top",
            ));
        }
    }
    violations.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(violations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_file_at_the_top_is_found() {
        let root = tempfile::tempdir().unwrap();
        for name in ["Cargo.toml", "notes.txt", ".gitignore"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        std::fs::create_dir(root.path().join("src")).unwrap();
        let found = check(root.path()).unwrap();
        let found: Vec<&str> = found.iter().map(|it| it.at.as_str()).collect();
        assert_eq!(found, ["notes.txt", "src"]);
    }
}
