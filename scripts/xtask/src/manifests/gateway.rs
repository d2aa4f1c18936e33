//! The public address: nginx' map, the `HTTPRoutes` and `openapi.json` have exactly the public routes of the code.

use std::{collections::BTreeSet, path::Path};

use anyhow::Context as _;
use serde_json::Value;

use super::{
    Problem,
    code::Function,
    documents::{Document, read},
};

const MAP: &str = "knative/base/gateway/routes.conf";
const UPSTREAMS: &str = "knative/base/gateway/upstreams.conf";
const PROBLEMS: &str = "knative/base/gateway/problems.conf";
const OPENAPI: &str = "functions/web/assets/openapi.json";
const CODES: &str = "shared/runtime/src/problem/code.rs";

/// A pattern of addresses, and the function that has them.
type Routes = BTreeSet<(String, String)>;

pub(super) fn check(
    root: &Path,
    functions: &[Function],
    documents: &[Document],
) -> anyhow::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let map = read(&root.join(MAP))?;
    let wanted = public(functions, nginx);
    compare(MAP, &wanted, &mapped(&map), &mut problems);
    if !map.contains("map $request_uri $function {\n    default \"\";\n") {
        let problem =
            "an address that is not listed has to be nobody's, and is looked at as it came";
        problems.push((MAP.to_owned(), problem.to_owned()));
    }
    let at = "the HTTPRoutes";
    compare(
        at,
        &public(functions, gateway_api),
        &routed(documents),
        &mut problems,
    );
    let nobody = |text: &str| (text.replace("{*", "{"), String::new());
    let routes = functions.iter().flat_map(Function::public);
    let wanted = routes.map(|route| nobody(route)).collect();
    let openapi: Value = serde_json::from_str(&read(&root.join(OPENAPI))?)?;
    let described = openapi["paths"]
        .as_object()
        .context("openapi.json has no paths")?;
    let described = described.keys().map(|path| nobody(path)).collect();
    compare(OPENAPI, &wanted, &described, &mut problems);
    check_namespace(root, documents, &mut problems)?;
    check_words(root, &mut problems)?;
    Ok(problems)
}

fn public(functions: &[Function], pattern: fn(&str) -> String) -> Routes {
    let each = functions.iter().flat_map(|function| {
        let routes = function.public();
        routes.map(|route| (pattern(route), function.name.clone()))
    });
    each.collect()
}

/// The line of nginx' map for a route: the whole address, with or without a query.
fn nginx(route: &str) -> String {
    format!(r"~^{}(\?|$)", pattern(route, "[^/?]+", "[^?]+"))
}

/// The match of an `HTTPRoute`, which sees the path without a query and matches it whole.
fn gateway_api(route: &str) -> String {
    if route.contains('{') {
        format!("RegularExpression {}", pattern(route, "[^/]+", ".+"))
    } else {
        format!("Exact {route}")
    }
}

fn pattern(route: &str, segment: &str, rest: &str) -> String {
    let segments = route.split('/').map(|part| {
        if part.starts_with("{*") {
            rest.to_owned()
        } else if part.starts_with('{') {
            segment.to_owned()
        } else {
            part.replace('.', r"\.")
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

fn mapped(map: &str) -> Routes {
    let lines = map.lines().map(str::trim).filter(|it| it.starts_with('~'));
    let pairs = lines.filter_map(|line| line.strip_suffix(';')?.split_once(' '));
    pairs
        .map(|(pattern, function)| (pattern.to_owned(), function.to_owned()))
        .collect()
}

/// What the routes match, and whom the rewritten host names.
fn routed(documents: &[Document]) -> Routes {
    let mut found = Routes::new();
    for route in documents.iter().filter(|it| it.kind() == "HTTPRoute") {
        for rule in route.list("/spec/rules") {
            let host = rule
                .pointer("/filters/0/urlRewrite/hostname")
                .and_then(Value::as_str);
            let function = host.and_then(|it| it.split('.').next()).unwrap_or_default();
            let matches = rule["matches"].as_array().map_or(&[][..], Vec::as_slice);
            for path in matches.iter().map(|it| &it["path"]) {
                let text = |name: &str| path[name].as_str().unwrap_or_default().to_owned();
                let pattern = format!("{} {}", text("type"), text("value"));
                found.insert((pattern, function.to_owned()));
            }
        }
    }
    found
}

fn compare(at: &str, wanted: &Routes, found: &Routes, problems: &mut Vec<Problem>) {
    for (pattern, function) in wanted - found {
        problems.push((at.to_owned(), format!("lacks {pattern} {function}")));
    }
    for (pattern, function) in found - wanted {
        let problem = format!("has {pattern} {function}, which is no public route of the code");
        problems.push((at.to_owned(), problem));
    }
}

/// The namespace stands in three places that Kustomize does not reach.
fn check_namespace(
    root: &Path,
    documents: &[Document],
    problems: &mut Vec<Problem>,
) -> anyhow::Result<()> {
    let base = read(&root.join("knative/base/kustomization.yaml"))?;
    let namespace = base
        .lines()
        .find_map(|line| line.strip_prefix("namespace: "));
    let namespace = namespace.context("knative/base has no namespace")?;
    let host = format!(".{namespace}.svc.cluster.local");
    if !read(&root.join(UPSTREAMS))?.contains(&format!("default $function{host};")) {
        problems.push((
            UPSTREAMS.to_owned(),
            format!("names another namespace than {namespace}"),
        ));
    }
    for document in documents {
        let hosts = document.list("/spec/rules").iter();
        let hosts = hosts.filter_map(|it| it.pointer("/filters/0/urlRewrite/hostname")?.as_str());
        let variables = document.list("/spec/template/spec/containers/0/env").iter();
        let mut told = variables.filter(|it| it["name"] == "KNATIVE_NAMESPACE");
        if hosts.into_iter().any(|it| !it.ends_with(&host))
            || told.any(|it| it["value"] != namespace)
        {
            problems.push((
                document.title(),
                format!("names another namespace than {namespace}"),
            ));
        }
    }
    Ok(())
}

/// The gateway's refusals are word for word those of the code.
fn check_words(root: &Path, problems: &mut Vec<Problem>) -> anyhow::Result<()> {
    let codes = read(&root.join(CODES))?;
    for line in read(&root.join(PROBLEMS))?.lines() {
        let Some((_, document)) = line.split_once(" '{").filter(|_| line.contains("return "))
        else {
            continue;
        };
        let document = format!("{{{}", document.trim_end_matches("';"));
        let document: Value = serde_json::from_str(&document).context(PROBLEMS)?;
        for member in ["code", "title", "detail"] {
            let text = document[member].as_str().unwrap_or_default();
            if !codes.contains(&format!("\"{text}\"")) {
                problems.push((
                    PROBLEMS.to_owned(),
                    format!("{text:?} is no {member} of the code"),
                ));
            }
        }
    }
    Ok(())
}
