//! Whether the manifests under `knative/` say what the code says: names, routes, permissions, environment.
//!
//! The code is read as text (module `code`); the manifests as the YAML that they are, and once more as each overlay that
//! `kubectl kustomize` makes of them, where there is a `kubectl`. Whether the cluster would take them is another question:
//! a validator with the schemas answers it.

mod code;
mod documents;
mod gateway;
mod overlays;
mod plan;
mod private;
mod rights;
mod services;
#[cfg(test)]
mod tests;
mod workloads;

use std::path::Path;

use crate::{Rule, Violation};
use code::Function;
use documents::Document;

/// Finds what the manifests of the project at `root` say otherwise than its code.
pub fn check(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let functions = code::functions(root)?;
    let mut problems = as_written(root, &functions)?;
    problems.extend(overlays::check(&root.join("knative"), &functions)?);
    Ok(violations(problems))
}

fn as_written(root: &Path, functions: &[Function]) -> anyhow::Result<Vec<Problem>> {
    let knative = root.join("knative");
    let documents = documents::below(&knative)?;
    let mut problems = about(functions, &documents);
    problems.extend(services::check_names(&knative, functions)?);
    problems.extend(services::check_tunables(root)?);
    problems.extend(services::check_migrate(root, &documents)?);
    problems.extend(private::check(functions, &documents));
    problems.extend(gateway::check(root, functions, &documents)?);
    problems.extend(plan::check(root)?);
    Ok(problems)
}

fn violations(problems: Vec<Problem>) -> Vec<Violation> {
    let violation = |(at, problem)| Violation::new(Rule::Manifests, at, problem);
    problems.into_iter().map(violation).collect()
}

/// Where, and what is wrong.
type Problem = (String, String);

/// What holds of the manifests as they are written, and of every overlay that is made of them.
fn about(functions: &[Function], documents: &[Document]) -> Vec<Problem> {
    let mut problems = services::check(functions, documents);
    problems.extend(workloads::check(documents));
    problems.extend(rights::check(documents));
    problems
}
