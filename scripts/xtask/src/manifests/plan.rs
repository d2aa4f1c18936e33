//! What `scripts/k3s-up` says that it does is what is kept of it: a change of a step or of a version shows in review.

use std::{path::Path, process::Command};

use anyhow::Context as _;

use super::{Problem, documents::read};

const PLAN: &str = "knative/k3s-up.plan";

pub(super) fn check(root: &Path) -> anyhow::Result<Vec<Problem>> {
    let script = root.join("scripts/k3s-up");
    let printed = Command::new(script).arg("--plan").output();
    let printed = printed.context("scripts/k3s-up --plan")?;
    if !printed.status.success() {
        let error = String::from_utf8_lossy(&printed.stderr).trim().to_owned();
        return Ok(vec![(
            "scripts/k3s-up".to_owned(),
            format!("--plan fails: {error}"),
        )]);
    }
    if String::from_utf8(printed.stdout)? == read(&root.join(PLAN))? {
        return Ok(Vec::new());
    }
    let problem = "is not what scripts/k3s-up --plan prints: write it anew";
    Ok(vec![(PLAN.to_owned(), problem.to_owned())])
}
