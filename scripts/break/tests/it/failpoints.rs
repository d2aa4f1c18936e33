//! No place at which a function can be made to die is forgotten.

use std::{collections::BTreeSet, fs, path::Path};

/// The texts of all Rust files below a directory.
fn sources(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
    found
}

#[test]
fn a_scenario_kills_at_every_failpoint_that_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let code = [root.join("functions"), root.join("shared")].map(|it| sources(&it));
    let names: BTreeSet<&str> = code
        .iter()
        .flatten()
        .flat_map(|text| text.split("failpoint::pass(").skip(1))
        .map(|rest| {
            let name = rest.trim_start().strip_prefix('"');
            let name = name.expect("a failpoint's name is a literal");
            name.split('"').next().unwrap()
        })
        .collect();
    assert!(names.len() > 15, "only {names:?}");
    let scenarios = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scenarios"));
    // What an error is called is no arming.
    let is_armed = |name: &str| {
        let quoted = format!("\"{name}\"");
        let mut lines = scenarios.iter().flat_map(|text| text.lines());
        lines.any(|line| line.contains(&quoted) && !line.contains(".context("))
    };
    let forgotten: Vec<&&str> = names.iter().filter(|name| !is_armed(name)).collect();
    assert!(forgotten.is_empty(), "nothing dies at {forgotten:?}");
}
