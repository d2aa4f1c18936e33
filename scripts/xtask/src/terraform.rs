//! `infra/terraform` against the code: references resolve, and routes, names, environment, tables and rights are the code's.
//!
//! Terraform finds some of this only with the AWS provider at hand, and most of it never: that a policy lacks an action
//! shows on AWS, at the first request that needs it.

mod adapter;
mod code;
mod configuration;
mod expression;
mod functions;
mod policies;
mod references;
mod syntax;
mod tables;
mod texts;
mod variables;

#[cfg(test)]
mod tests;

use std::path::Path;

use crate::{Rule, Violation};
use code::Code;
use configuration::Configuration;

/// Where the configuration is, below the project's root.
const FOLDER: &str = "infra/terraform";

/// Finds where the configuration of the project at `root` disagrees with itself or with the code.
pub fn check(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let folder = root.join(FOLDER);
    let configuration = Configuration::read(&folder)?;
    let mut found = weigh(&configuration, &Code::read(root)?);
    for example in configuration::tfvars(&folder.join("examples"))? {
        found.extend(variables::unknown(&configuration, &example));
    }
    Ok(found.into_iter().map(Finding::into_violation).collect())
}

fn weigh(configuration: &Configuration, code: &Code) -> Vec<Finding> {
    let mut found = references::check(configuration);
    found.extend(variables::check(configuration));
    found.extend(policies::check(configuration));
    found.extend(tables::check(configuration, &code.tables));
    found.extend(functions::check(configuration, code));
    found.extend(texts::check(configuration, &code.texts));
    found
}

/// What is wrong, and where: a block's address or a function's name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    at: String,
    problem: String,
}

impl Finding {
    fn new(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            at: at.into(),
            problem: problem.into(),
        }
    }

    fn into_violation(self) -> Violation {
        Violation::new(Rule::Terraform, self.at, self.problem)
    }
}
