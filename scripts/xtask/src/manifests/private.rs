//! The routes of the broker and of timers: each is called by something in the cluster, and nothing calls what is not there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Problem, code::Function, documents::Document};

pub(super) fn check(functions: &[Function], documents: &[Document]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut called = BTreeSet::new();
    for document in documents {
        let mut found = BTreeSet::new();
        calls(document.value(""), &mut found);
        for (name, route) in &found {
            let known = functions.iter().find(|it| it.name == *name);
            if !known.is_some_and(|it| it.private().any(|has| has == route)) {
                let problem = format!("calls {route} of {name}, which has no such private route");
                problems.push((document.title(), problem));
            }
        }
        called.extend(found);
    }
    for function in functions {
        for route in function.private() {
            if !called.contains(&(function.name.clone(), route.clone())) {
                let problem = format!("nothing calls its route {route}");
                problems.push((function.name.clone(), problem));
            }
        }
    }
    let bound = bound(documents);
    for function in functions {
        let name = &function.name;
        if function.publishes != bound.contains(name.as_str()) {
            let problem = if function.publishes {
                "publishes events, and no SinkBinding tells it where"
            } else {
                "has a SinkBinding and publishes nothing"
            };
            problems.push((name.clone(), problem.to_owned()));
        }
    }
    problems
}

/// Every `{ref: {kind: Service, name}, uri}`, wherever it stands: subscribers, sinks, dead-letter sinks.
fn calls(value: &Value, found: &mut BTreeSet<(String, String)>) {
    let text = |pointer| value.pointer(pointer).and_then(Value::as_str);
    if let (Some("Service"), Some(name)) = (text("/ref/kind"), text("/ref/name")) {
        let uri = text("/uri").unwrap_or("/");
        found.insert((name.to_owned(), uri.to_owned()));
    }
    match value {
        Value::Object(members) => members.values().for_each(|it| calls(it, found)),
        Value::Array(members) => members.iter().for_each(|it| calls(it, found)),
        _ => {}
    }
}

fn bound(documents: &[Document]) -> BTreeSet<&str> {
    let bindings = documents.iter().filter(|it| it.kind() == "SinkBinding");
    bindings.map(|it| it.text("/spec/subject/name")).collect()
}
