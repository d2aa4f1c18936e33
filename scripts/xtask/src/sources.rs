//! Where dependencies come from, against `[sources]` of `deny.toml`.

use crate::{
    Rule, Violation,
    policy::Sources,
    workspace::{Foreign, Workspace},
};

/// Finds crates from unknown registries, from git, and from folders outside of the workspace.
#[must_use]
pub fn check(workspace: &Workspace, policy: &Sources) -> Vec<Violation> {
    let packages = workspace.packages.iter();
    packages
        .filter(|package| !is_known(package, policy))
        .map(|package| {
            let at = format!("{} {}", package.name, package.version);
            let source = package.source.as_deref();
            let source = source.unwrap_or("a folder outside of the workspace");
            Violation::new(Rule::Sources, at, format!("comes from {source}"))
        })
        .collect()
}

fn is_known(package: &Foreign, policy: &Sources) -> bool {
    let source = package.source.as_deref();
    let registry = source.and_then(|source| source.strip_prefix("registry+"));
    registry.is_some_and(|registry| policy.allow_registry.iter().any(|known| known == registry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture::with_packages, policy::Deny};

    #[test]
    fn only_a_listed_registry_is_a_source() {
        let policy = Sources {
            unknown_registry: Deny::Deny,
            unknown_git: Deny::Deny,
            allow_registry: vec!["https://example.org/index".to_owned()],
        };
        for (source, known) in [
            (Some("registry+https://example.org/index"), true),
            (Some("registry+https://example.org/other"), false),
            (Some("git+https://example.org/index"), false),
            (None, false),
        ] {
            let package = Foreign {
                source: source.map(str::to_owned),
                ..Foreign::default()
            };
            let found = check(&with_packages([package]), &policy);
            assert_eq!(found.is_empty(), known, "{source:?}");
        }
    }
}
