//! What a function's Knative Service says about its environment.

use std::{fs, path::Path};

use anyhow::Context as _;

const BASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../knative/base");

/// A variable, and its value where the manifest has one; else it is a cluster's Secret or `ConfigMap`.
pub type Variable = (String, Option<String>);

/// The variables that the manifest of a function sets, and `K_SINK` if a `SinkBinding` puts it in.
///
/// Lines and not a tree: the shape of these files is what `xtask check manifests` holds them to.
pub fn variables(function: &str) -> anyhow::Result<Vec<Variable>> {
    let path = Path::new(BASE).join(format!("services/{function}.yaml"));
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut variables = in_service(&text);
    let sinks = fs::read_to_string(Path::new(BASE).join("eventing/sinks.yaml"))?;
    let subject = format!("kind: Service, name: {function} }}");
    if sinks
        .lines()
        .any(|line| line.contains("subject:") && line.contains(&subject))
    {
        variables.push(("K_SINK".to_owned(), None));
    }
    Ok(variables)
}

fn in_service(text: &str) -> Vec<Variable> {
    let mut lines = text.lines().map(str::trim);
    let mut variables = Vec::new();
    if !lines.any(|line| line == "env:") {
        return variables;
    }
    for line in lines {
        if let Some(name) = line.strip_prefix("- name: ") {
            variables.push((name.to_owned(), None));
        } else if let Some(value) = line.strip_prefix("value: ")
            && let Some((_, given)) = variables.last_mut()
        {
            *given = Some(value.trim_matches('"').to_owned());
        } else if !line.starts_with("valueFrom:") {
            break;
        }
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(function: &str) -> Vec<String> {
        let variables = variables(function).unwrap();
        variables.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_shipped_manifests_are_understood() {
        assert_eq!(
            names("sweeper"),
            ["STORE_URL", "STOCK_URL", "REPEAT_SECS", "K_SINK"]
        );
        assert_eq!(names("order-writer"), ["STORE_URL", "STOCK_URL"]);
        assert_eq!(names("web"), Vec::<String>::new());
        let login = variables("login").unwrap();
        assert!(login.contains(&("PASSWORD_HASHES_MAX".to_owned(), Some("2".to_owned()))));
        assert!(login.contains(&("STORE_URL".to_owned(), None)));
        assert!(names("spike").contains(&"K_SINK".to_owned()));
        assert!(variables("sneaker").is_err());
    }
}
