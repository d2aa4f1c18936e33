//! What no compiler checks: names, the direction of dependencies, the project's top level, the rules of `deny.toml`, and
//! whether the manifests of Kubernetes and the Terraform of AWS say what the code says.
//!
//! `cargo xtask check` compares the workspace, as `cargo metadata` shows it, with these rules. The rules about licences,
//! banned crates and sources stand in `deny.toml` alone: `cargo deny` reads them where it is installed, this crate where
//! it is not.

pub mod bans;
pub mod direction;
pub mod expression;
pub mod layout;
pub mod licences;
pub mod manifests;
pub mod names;
pub mod policy;
pub mod sources;
pub mod terraform;
pub mod workspace;

#[cfg(test)]
mod fixture;

use std::{fmt, path::Path};

use policy::Policy;
use workspace::Workspace;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Rule {
    /// Folder = package = binary, and every function is a library and a binary.
    Names,
    /// Which crate may use which.
    Direction,
    /// What may lie at the top of the project.
    Layout,
    /// The licences of all dependencies.
    Licences,
    /// Crates that must not be linked.
    Bans,
    /// Where dependencies come from.
    Sources,
    /// What `knative/` says of names, routes, permissions and environment.
    Manifests,
    /// `infra/terraform` against the code.
    Terraform,
}

impl Rule {
    /// All rules, in the order in which they are checked.
    pub const ALL: [Self; 8] = [
        Self::Names,
        Self::Direction,
        Self::Layout,
        Self::Licences,
        Self::Bans,
        Self::Sources,
        Self::Manifests,
        Self::Terraform,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Direction => "direction",
            Self::Layout => "layout",
            Self::Licences => "licences",
            Self::Bans => "bans",
            Self::Sources => "sources",
            Self::Manifests => "manifests",
            Self::Terraform => "terraform",
        }
    }
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The crate or file at fault.
    pub at: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Violation {
    fn new(rule: Rule, at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            rule,
            at: at.into(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.rule.as_str(), self.at, self.problem)
    }
}

/// Checks the project at `root` against `rules`.
pub fn check(root: &Path, rules: &[Rule]) -> anyhow::Result<Vec<Violation>> {
    let policy = Policy::read(&root.join("deny.toml"))?;
    let workspace = Workspace::read(root, &policy.graph.targets)?;
    let mut violations = Vec::new();
    for rule in rules {
        violations.extend(match rule {
            Rule::Names => names::check(&workspace),
            Rule::Direction => direction::check(&workspace),
            Rule::Layout => layout::check(root)?,
            Rule::Licences => licences::check(&workspace, &policy.licenses),
            Rule::Bans => bans::check(&workspace, &policy.bans),
            Rule::Sources => sources::check(&workspace, &policy.sources),
            Rule::Manifests => manifests::check(root)?,
            Rule::Terraform => terraform::check(root)?,
        });
    }
    Ok(violations)
}
