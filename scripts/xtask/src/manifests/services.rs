//! Each function's Knative Service: its name, its environment, how it scales, and that nobody outside reaches it.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use super::{
    Problem,
    code::{self, Function},
    documents::{Document, entries, read},
};

/// Optional variables that the manifests leave at their defaults, and why that is right.
const LEFT_OUT: [(&str, &[&str]); 2] = [
    // The file of tunables is there instead of both.
    ("spike", &["BUCKET_BURST", "BUCKET_REFILL"]),
    // Measured once for all; an overlay of somebody who measured again may set them. The last is for AWS.
    (
        "prewarm",
        &[
            "SPIKE_BUYERS_PER_INSTANCE",
            "SPIKE_TOKEN_BUYERS_PER_INSTANCE",
            "ACCESS_CHECK_BUYERS_PER_INSTANCE",
            "INSTANCES_MAX",
            "LEAD_SECS",
            "GUARD_SECS",
            "FUNCTION_PREFIX",
        ],
    ),
];

/// What one instance is enough for, and the most there may be.
const ALONE: [&str; 4] = ["admin-spikes", "admin-users", "prewarm", "sweeper"];

/// What a sale's first second meets.
const HOT: [&str; 3] = ["access-check", "spike", "spike-token"];

pub(super) fn check(functions: &[Function], documents: &[Document]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let services: Vec<&Document> = documents.iter().filter(|it| it.is_function()).collect();
    for service in &services {
        let mut report = |problem: String| problems.push((service.title(), problem));
        match functions.iter().find(|it| it.name == service.name()) {
            Some(function) => check_environment(function, service, &mut report),
            None => report("there is no such function".to_owned()),
        }
        check_shape(service, &mut report);
        check_scale(service, &mut report);
    }
    for function in functions {
        let count = services.iter().filter(|it| it.name() == function.name);
        let count = count.count();
        if count != 1 {
            let problem = format!("has {count} Knative Services, not 1");
            problems.push((function.name.clone(), problem));
        }
    }
    problems
}

fn check_environment(function: &Function, service: &Document, report: &mut impl FnMut(String)) {
    let variables = service.list("/spec/template/spec/containers/0/env");
    let names = variables.iter().filter_map(|it| it["name"].as_str());
    let given: BTreeSet<&str> = names
        .map(|name| {
            name.strip_suffix("_FILE")
                .filter(|_| name != "TUNABLES_FILE")
                .unwrap_or(name)
        })
        .collect();
    for name in &function.required {
        if !given.contains(name.as_str()) {
            report(format!(
                "{name} is not set, and the function does not start without"
            ));
        }
    }
    let left_out = LEFT_OUT.iter().find(|(name, _)| *name == function.name);
    let left_out = left_out.map_or(&[][..], |(_, names)| names);
    for name in &function.optional {
        if left_out.contains(&name.as_str()) == given.contains(name.as_str()) {
            report(format!("{name} is neither set nor left out on purpose"));
        }
    }
    for name in &given {
        if !function.required.contains(*name) && !function.optional.contains(*name) {
            report(format!("{name} is set, and the function does not read it"));
        }
    }
}

fn check_shape(service: &Document, report: &mut impl FnMut(String)) {
    let labels = service.value("/metadata/labels");
    if labels["networking.knative.dev/visibility"] != "cluster-local" {
        report("can be reached from outside: only the gateway may be".to_owned());
    }
    let containers = service.list("/spec/template/spec/containers");
    let container = containers.first().unwrap_or(&Value::Null);
    let image = container["image"].as_str().unwrap_or_default();
    let image = image.rsplit('/').next().unwrap_or_default();
    let image = image.split([':', '@']).next().unwrap_or_default();
    let names = [container["name"].as_str().unwrap_or_default(), image];
    if containers.len() != 1 || names != [service.name(); 2] {
        report(format!("its container and image are called {names:?}"));
    }
    for (probe, path) in [
        ("readinessProbe", "/health/ready"),
        ("livenessProbe", "/health/live"),
    ] {
        if container[probe]["httpGet"]["path"] != path {
            report(format!("the {probe} does not ask for {path}"));
        }
    }
}

fn check_scale(service: &Document, report: &mut impl FnMut(String)) {
    let annotations = service.value("/spec/template/metadata/annotations");
    let annotation = |name: &str| {
        let value = &annotations[format!("autoscaling.knative.dev/{name}")];
        value.as_str().unwrap_or_default().to_owned()
    };
    if annotation("min-scale") != "0" {
        report("does not scale to zero".to_owned());
    }
    if annotation("max-scale").parse::<u32>().unwrap_or(0) == 0 {
        report("has no highest number of instances".to_owned());
    }
    if ALONE.contains(&service.name()) && annotation("max-scale") != "1" {
        report("may have more than one instance".to_owned());
    }
    if HOT.contains(&service.name()) && annotation("target-burst-capacity") != "-1" {
        report("does not keep the activator in its path".to_owned());
    }
}

/// The Job that prepares the store reads its environment as the functions do.
pub(super) fn check_migrate(root: &Path, documents: &[Document]) -> anyhow::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let job = documents.iter().find(|it| it.kind() == "Job");
    let job = job.filter(|it| it.name() == "migrate");
    let folder = root.join("scripts/migrate");
    if let Some(job) = job.filter(|_| folder.is_dir()) {
        let mut report = |problem: String| problems.push((job.title(), problem));
        check_environment(&code::program(&folder)?, job, &mut report);
    } else {
        let problem = "there is no Job of this name, or no program";
        problems.push(("migrate".to_owned(), problem.to_owned()));
    }
    Ok(problems)
}

/// Compares file names, the base's list, and the images of each overlay with the functions.
pub(super) fn check_names(knative: &Path, functions: &[Function]) -> anyhow::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let files: BTreeSet<String> = entries(&knative.join("base/services"))?
        .iter()
        .map(|file| {
            format!(
                "services/{}",
                file.file_name().unwrap_or_default().display()
            )
        })
        .collect();
    let wanted = functions
        .iter()
        .map(|it| format!("services/{}.yaml", it.name));
    let wanted: BTreeSet<String> = wanted.collect();
    compare("base", &wanted, &files, &mut problems);
    let base = read(&knative.join("base/kustomization.yaml"))?;
    let listed = base
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "));
    let listed = listed.filter(|it| it.starts_with("services/"));
    let listed = listed.map(str::to_owned).collect();
    compare("base/kustomization.yaml", &wanted, &listed, &mut problems);
    let mut images: BTreeSet<String> = functions.iter().map(|it| it.name.clone()).collect();
    images.insert("migrate".to_owned());
    for overlay in entries(&knative.join("overlays"))? {
        let text = read(&overlay.join("kustomization.yaml"))?;
        let named = text.split("name: spike/").skip(1);
        let named = named.filter_map(|rest| rest.split(',').next());
        let named = named.map(str::to_owned).collect();
        let at = format!(
            "overlays/{}",
            overlay.file_name().unwrap_or_default().display()
        );
        compare(&at, &images, &named, &mut problems);
    }
    Ok(problems)
}

fn compare(
    at: &str,
    wanted: &BTreeSet<String>,
    found: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) {
    for name in wanted - found {
        problems.push((at.to_owned(), format!("{name} is missing")));
    }
    for name in found - wanted {
        problems.push((at.to_owned(), format!("{name} is of no function")));
    }
}

/// The file that is mounted is the sample, which a test of `spike` reads.
pub(super) fn check_tunables(root: &Path) -> anyhow::Result<Vec<Problem>> {
    let at = "knative/base/tunables.toml";
    let same = read(&root.join(at))? == read(&root.join("docs/samples/tunables.toml"))?;
    let problem = "differs from docs/samples/tunables.toml";
    Ok(if same {
        Vec::new()
    } else {
        vec![(at.to_owned(), problem.to_owned())]
    })
}
