//! What the functions' own text says: which environment they read, and which routes they have.
//!
//! Text and not types, so that this crate is built without all of them. What is overlooked here does not pass: the routes
//! are compared with `openapi.json` as well, which the code itself is compared with.

use std::{collections::BTreeSet, path::Path};

use anyhow::Context as _;

use super::documents::{entries, files, read};

/// A function as its code describes it.
#[derive(Debug, Clone)]
pub(super) struct Function {
    /// Its folder below `functions/`.
    pub(super) name: String,
    /// What stops its start when it is missing. A secret may be given as `NAME_FILE`.
    pub(super) required: BTreeSet<String>,
    /// What it reads and can do without.
    pub(super) optional: BTreeSet<String>,
    /// Whether it needs to know the broker, which a `SinkBinding` tells it.
    pub(super) publishes: bool,
    /// Its routes, as axum spells them.
    pub(super) routes: BTreeSet<String>,
}

impl Function {
    /// Routes of the broker or of a timer, which nobody outside may reach.
    pub(super) fn private(&self) -> impl Iterator<Item = &String> {
        self.routes.iter().filter(|route| is_private(route))
    }

    /// All others.
    pub(super) fn public(&self) -> impl Iterator<Item = &String> {
        self.routes.iter().filter(|route| !is_private(route))
    }
}

fn is_private(route: &str) -> bool {
    route.starts_with("/events/") || route.starts_with("/timers/")
}

/// All functions of the project at `root`.
pub(super) fn functions(root: &Path) -> anyhow::Result<Vec<Function>> {
    let folders = entries(&root.join("functions"))?;
    folders.iter().map(|folder| program(folder)).collect()
}

/// The program in this folder.
pub(super) fn program(folder: &Path) -> anyhow::Result<Function> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let sources = folder.join("src");
    let mut main = without_comments(&read(&sources.join("main.rs"))?);
    let platform = sources.join("platform.rs");
    if platform.is_file() {
        main.push_str(&without_comments(&read(&platform)?));
    }
    let required = required(&main);
    Ok(Function {
        routes: routes(&sources).with_context(|| name.clone().into_owned())?,
        name: name.into_owned(),
        optional: &variables(&main) - &required,
        required,
        publishes: main.contains("env::events_url()"),
    })
}

/// What the platforms themselves give: the kubelet and Lambda.
const GIVEN: [&str; 2] = ["KUBERNETES_", "AWS_"];

fn is_given(name: &str) -> bool {
    GIVEN.iter().any(|prefix| name.starts_with(prefix))
}

/// Every text in the program that is spelled like a variable.
fn variables(main: &str) -> BTreeSet<String> {
    let texts = main.split('"').skip(1).step_by(2);
    let is_variable = |text: &&str| {
        let first = text.chars().next();
        first.is_some_and(|it| it.is_ascii_uppercase())
            && text
                .chars()
                .all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '_')
    };
    let texts = texts.filter(is_variable).filter(|it| !is_given(it));
    texts.map(str::to_owned).collect()
}

fn required(main: &str) -> BTreeSet<String> {
    let calls = ["env::url(\"", "env::text(\"", "env::secret(\""];
    let arguments = calls
        .iter()
        .flat_map(|call| main.split(call).skip(1))
        .filter_map(|rest| rest.split('"').next());
    let arguments = arguments.filter(|it| !is_given(it));
    arguments.map(str::to_owned).collect()
}

fn routes(sources: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut text = String::new();
    for file in files(sources, "rs")? {
        let tests = file.components().any(|part| part.as_os_str() == "tests");
        if !tests && !file.ends_with("tests.rs") {
            let whole = read(&file)?;
            let shipped = whole.split("#[cfg(test)]\nmod tests {").next();
            text.push_str(&without_comments(shipped.unwrap_or_default()));
        }
    }
    let arguments = text.split(".route(").skip(1).map(str::trim_start);
    arguments
        .map(|argument| match argument.strip_prefix('"') {
            Some(literal) => literal.split('"').next().map(str::to_owned),
            None => constant(&text, argument.split(',').next().unwrap_or_default()),
        })
        .map(|route| route.context("a route that is neither a text nor a constant of its crate"))
        .collect()
}

fn constant(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("const {name}: &str = \""))?;
    rest.split('"').next().map(str::to_owned)
}

fn without_comments(text: &str) -> String {
    let lines = text.lines();
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| [line, "\n"]).collect()
}
