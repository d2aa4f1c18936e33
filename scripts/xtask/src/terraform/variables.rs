//! Every variable is typed, described and validated, and examples set only variables that there are.

use hcl::{Block, Body, Expression};

use super::{
    Finding,
    configuration::{Configuration, address, attribute, labels, text},
};

/// Finds variables and outputs that lack a part.
pub(super) fn check(configuration: &Configuration) -> Vec<Finding> {
    let mut found = Vec::new();
    for variable in configuration.of_kind("variable") {
        let mut lack = |problem: &str| found.push(Finding::new(address(variable), problem));
        if attribute(variable, "type").is_none() {
            lack("has no type");
        }
        if text(variable, "description").is_none_or(str::is_empty) {
            lack("has no description");
        }
        if !is_bool(variable)
            && !variable
                .body()
                .blocks()
                .any(|it| it.identifier() == "validation")
        {
            lack("is not validated");
        }
    }
    for output in configuration.of_kind("output") {
        if text(output, "description").is_none_or(str::is_empty) {
            found.push(Finding::new(address(output), "has no description"));
        }
    }
    found.extend(configuration.modules.values().flat_map(check));
    found
}

/// There is nothing to validate about yes or no.
fn is_bool(variable: &Block) -> bool {
    matches!(attribute(variable, "type"), Some(Expression::Variable(name)) if name.as_str() == "bool")
}

/// Finds values, in a file of them, for variables that are not there.
pub(super) fn unknown(
    configuration: &Configuration,
    (file, body): &(String, Body),
) -> Vec<Finding> {
    let variables: Vec<String> = configuration.of_kind("variable").map(labels).collect();
    let given = body.attributes().map(hcl::Attribute::key);
    given
        .filter(|name| !variables.iter().any(|it| it == name))
        .map(|name| Finding::new(file, format!("sets {name}, which is no variable")))
        .collect()
}
