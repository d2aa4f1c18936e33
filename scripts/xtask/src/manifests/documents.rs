//! The documents in a YAML file, as JSON values.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

/// One object of Kubernetes, or a patch of one.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// The file, below `knative/`, or the overlay.
    pub(super) at: String,
    value: Value,
}

impl Document {
    pub(super) fn kind(&self) -> &str {
        self.text("/kind")
    }

    pub(super) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Whether it is a Knative Service, and not one of Kubernetes' own.
    pub(super) fn is_function(&self) -> bool {
        self.kind() == "Service" && self.text("/apiVersion").starts_with("serving.knative.dev/")
    }

    /// The text at this pointer (RFC 6901), or nothing.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.value(pointer).as_str().unwrap_or_default()
    }

    pub(super) fn value(&self, pointer: &str) -> &Value {
        self.value.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// The members of the list at this pointer.
    pub(super) fn list(&self, pointer: &str) -> &[Value] {
        self.value(pointer).as_array().map_or(&[], Vec::as_slice)
    }

    /// `Service/spike in base/services/spike.yaml`.
    pub(super) fn title(&self) -> String {
        format!("{}/{} in {}", self.kind(), self.name(), self.at)
    }
}

/// All objects below `folder`. What Kustomize itself reads is none.
pub(super) fn below(folder: &Path) -> anyhow::Result<Vec<Document>> {
    let mut documents = Vec::new();
    for file in files(folder, "yaml")? {
        let text = read(&file)?;
        let at = file.strip_prefix(folder).unwrap_or(&file);
        documents.extend(parse(&at.display().to_string(), &text)?);
    }
    Ok(documents)
}

/// The objects in a text.
pub(super) fn parse(at: &str, text: &str) -> anyhow::Result<Vec<Document>> {
    let values: Vec<Value> =
        serde_saphyr::from_multiple(text).with_context(|| format!("{at} is not YAML"))?;
    let is_object = |value: &Value| {
        let kind = value.get("kind").and_then(Value::as_str);
        kind.is_some_and(|kind| !matches!(kind, "Kustomization" | "Component"))
    };
    let values = values.into_iter().filter(is_object);
    let document = |value| Document {
        at: at.to_owned(),
        value,
    };
    Ok(values.map(document).collect())
}

/// The files below `folder` whose names end so, in a fixed order.
pub(super) fn files(folder: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    Ok(found)
}

/// What is in a folder, in a fixed order.
pub(super) fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = folder.read_dir();
    let entries = entries.with_context(|| format!("cannot list {}", folder.display()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
