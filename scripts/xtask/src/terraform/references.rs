//! Every reference resolves: variables, local values and their members, resources, modules and their arguments and outputs.

use std::collections::BTreeSet;

use hcl::{Block, Expression};

use super::{
    Finding,
    configuration::{Configuration, address, attribute, labels, text},
    expression::{Reference, members, references},
};

/// What a block's own expressions may name besides.
const AMBIENT: &[&str] = &["count", "each", "path", "self", "terraform"];
/// Arguments that are words of the language: `type = string`, `ignore_changes = [tags]`.
const WORDS: &[&str] = &["ignore_changes", "type"];

/// Finds references in a module, and in those that it calls, that lead nowhere.
pub(super) fn check(configuration: &Configuration) -> Vec<Finding> {
    let names = Names::of(configuration);
    let mut found = Vec::new();
    for block in &configuration.blocks {
        in_block(block, block, &[], &names, &mut found);
        if block.identifier() == "module" {
            arguments(block, configuration, &mut found);
        }
    }
    for module in configuration.modules.values() {
        found.extend(check(module));
    }
    found
}

/// What can be referred to.
struct Names<'a> {
    configuration: &'a Configuration,
    variables: BTreeSet<String>,
    resources: BTreeSet<String>,
    data: BTreeSet<String>,
    ephemeral: BTreeSet<String>,
}

impl<'a> Names<'a> {
    fn of(configuration: &'a Configuration) -> Self {
        Self {
            configuration,
            variables: configuration.labels("variable"),
            resources: configuration.labels("resource"),
            data: configuration.labels("data"),
            ephemeral: configuration.labels("ephemeral"),
        }
    }

    /// What is wrong with a reference.
    fn problem(&self, reference: &Reference) -> Option<String> {
        let part = |index| reference.part(index).unwrap_or_default();
        let (known, what) = match part(0) {
            "var" => (self.variables.contains(part(1)), part(1).to_owned()),
            "local" => return self.problem_of_local(reference),
            "module" => return self.problem_of_module(reference),
            "data" => among(&self.data, part(1), part(2)),
            "ephemeral" => among(&self.ephemeral, part(1), part(2)),
            first if AMBIENT.contains(&first) => return None,
            first => among(&self.resources, first, part(1)),
        };
        (!known).then(|| format!("refers to {what}, which is not there"))
    }

    fn problem_of_local(&self, reference: &Reference) -> Option<String> {
        let name = reference.part(1).unwrap_or_default();
        let Some(value) = self.configuration.local(name) else {
            return Some(format!("refers to local.{name}, which is not there"));
        };
        let member = reference.part(2)?;
        let members = members(value);
        let is_whole = matches!(value, Expression::Object(it) if it.len() == members.len());
        (is_whole && !members.iter().any(|(key, _)| key == member))
            .then(|| format!("refers to local.{name}.{member}, which is not there"))
    }

    fn problem_of_module(&self, reference: &Reference) -> Option<String> {
        let name = reference.part(1).unwrap_or_default();
        let Some(module) = self.configuration.modules.get(name) else {
            return Some(format!("refers to module.{name}, which is not there"));
        };
        // module.NAME.OUTPUT, or module.NAME[KEY].OUTPUT where the call has for_each.
        let calls = self.configuration.of_kind("module");
        let mut calls = calls.filter(|call| labels(call) == name);
        let is_many = calls.any(|call| attribute(call, "for_each").is_some());
        let output = reference.part(if is_many { 3 } else { 2 })?;
        (!module.labels("output").contains(output))
            .then(|| format!("refers to module.{name}'s output {output}, which is not there"))
    }
}

fn among(known: &BTreeSet<String>, kind: &str, name: &str) -> (bool, String) {
    let address = format!("{kind}.{name}");
    (known.contains(&address), address)
}

fn in_block(
    block: &Block,
    outermost: &Block,
    bound: &[String],
    names: &Names,
    found: &mut Vec<Finding>,
) {
    for attribute in block.body().attributes() {
        if WORDS.contains(&attribute.key())
            && ["variable", "lifecycle"].contains(&block.identifier())
            || block.identifier() == "required_providers"
        {
            continue;
        }
        references(attribute.expr(), bound, &mut |reference, bound| {
            let first = reference.part(0).unwrap_or_default();
            if bound.iter().any(|it| it == first) {
                return;
            }
            if let Some(problem) = names.problem(reference) {
                found.push(Finding::new(address(outermost), problem));
            }
        });
    }
    for inner in block.body().blocks() {
        let mut bound = bound.to_vec();
        // The content of `dynamic "x"` may name `x`.
        if block.identifier() != "locals" && inner.identifier() == "dynamic" {
            bound.push(labels(inner));
        }
        in_block(inner, outermost, &bound, names, found);
    }
}

/// The arguments of a call are the module's variables, and none is missing that it needs.
fn arguments(call: &Block, configuration: &Configuration, found: &mut Vec<Finding>) {
    const META: &[&str] = &[
        "count",
        "depends_on",
        "for_each",
        "providers",
        "source",
        "version",
    ];
    let at = address(call);
    let Some(module) = configuration.modules.get(&labels(call)) else {
        let source = text(call, "source").unwrap_or_default();
        found.push(Finding::new(
            at,
            format!("calls {source:?}, which is no folder here"),
        ));
        return;
    };
    let given: BTreeSet<&str> = call.body().attributes().map(hcl::Attribute::key).collect();
    let variables = module.labels("variable");
    for name in given.iter().filter(|name| !META.contains(name)) {
        if !variables.contains(*name) {
            let problem = format!("gives {name}, which the module does not take");
            found.push(Finding::new(&at, problem));
        }
    }
    for variable in module.of_kind("variable") {
        let name = labels(variable);
        if attribute(variable, "default").is_none() && !given.contains(name.as_str()) {
            found.push(Finding::new(&at, format!("does not give {name}")));
        }
    }
}
