//! The overlays as `kubectl kustomize` makes them: patches must not take away what the base has.

use std::{path::Path, process::Command};

use anyhow::Context as _;

use super::{
    Problem, about,
    code::Function,
    documents::{Document, entries, parse},
};

pub(super) fn check(knative: &Path, functions: &[Function]) -> anyhow::Result<Vec<Problem>> {
    if Command::new("kubectl")
        .args(["version", "--client"])
        .output()
        .is_err()
    {
        eprintln!("manifests: there is no kubectl here, so no overlay was built");
        return Ok(Vec::new());
    }
    let mut problems = Vec::new();
    for overlay in entries(&knative.join("overlays"))? {
        let name = overlay.file_name().unwrap_or_default().to_string_lossy();
        let at = format!("overlays/{name}");
        let built = Command::new("kubectl")
            .arg("kustomize")
            .arg(&overlay)
            .output();
        let built = built.context("kubectl kustomize")?;
        if !built.status.success() {
            let error = String::from_utf8_lossy(&built.stderr).trim().to_owned();
            problems.push((at, format!("cannot be built: {error}")));
            continue;
        }
        let documents = parse(&at, &String::from_utf8(built.stdout)?)?;
        problems.extend(about(functions, &documents));
        problems.extend(unnamed(&documents));
    }
    Ok(problems)
}

/// Images that the overlay forgot to give a registry.
fn unnamed(documents: &[Document]) -> Vec<Problem> {
    let image = |it: &Document| {
        let image = it.text("/spec/template/spec/containers/0/image").to_owned();
        image
            .starts_with("spike/")
            .then(|| (it.title(), format!("the image {image} has no registry")))
    };
    documents.iter().filter_map(image).collect()
}
