//! What the code says of each function: its routes, its environment, and what it asks of the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::Context as _;
use syn::{Expr, File, Item, TraitItem};

use super::{
    adapter::{Adapter, Ask},
    syntax::{self, Met, path_of, text_of},
    tables::{self, Table},
};

/// The code, as far as the configuration repeats it.
#[derive(Debug, Default)]
pub(super) struct Code {
    /// By name.
    pub(super) functions: BTreeMap<String, Function>,
    /// The store's tables, by name.
    pub(super) tables: BTreeMap<String, Table>,
    /// Texts that the configuration repeats, by the constants' names.
    pub(super) texts: BTreeMap<String, String>,
    /// Methods of the store of which it is not known what they ask for.
    pub(super) unclear: Vec<String>,
}

/// One function.
#[derive(Debug, Default)]
pub(super) struct Function {
    /// Its routes.
    pub(super) routes: BTreeSet<String>,
    /// Those of them that need an access token, by the API's document.
    pub(super) with_token: BTreeSet<String>,
    /// Names in upper case in its `main.rs` and `platform.rs`: its environment.
    pub(super) environment: BTreeSet<String>,
    /// Those of them that are read as secrets.
    pub(super) secrets: BTreeSet<String>,
    /// What it asks of the store.
    pub(super) asks: BTreeSet<Ask>,
}

impl Code {
    /// Reads the sources of the project at `root`.
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let store = root.join("shared/store/src");
        let adapter_files = named(&store.join("dynamodb"))?;
        let tables_file = adapter_files.iter().find(|(name, _)| name == "tables");
        let (_, tables_file) = tables_file.context("the adapter has no tables.rs")?;
        let names = tables::names(tables_file);
        let adapter = Adapter::new(&adapter_files, &names);
        let port = port(&syntax::file(&store.join("port.rs"))?);
        let asks: BTreeMap<String, Option<BTreeSet<Ask>>> = port
            .into_iter()
            .map(|method| (method.clone(), adapter.asks(&method)))
            .collect();
        let sale = items(&root.join("shared/sale/src"), &asks)?;
        let with_token = with_token(&root.join("functions/web/assets/openapi.json"))?;
        let mut functions = BTreeMap::new();
        for entry in root.join("functions").read_dir()? {
            let folder = entry?.path();
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let function = Function::read(&folder.join("src"), &asks, &sale, &with_token)?;
            functions.insert(name.into_owned(), function);
        }
        let mut texts = BTreeMap::new();
        for path in ["shared/auth/src/token.rs", "functions/web/src/file.rs"] {
            texts.extend(tables::names(&syntax::file(&root.join(path))?));
        }
        Ok(Self {
            functions,
            texts,
            tables: tables::in_code(tables_file, &names),
            unclear: asks
                .iter()
                .filter(|(_, asks)| asks.is_none())
                .map(|(method, _)| method.clone())
                .collect(),
        })
    }
}

type Asks = BTreeMap<String, Option<BTreeSet<Ask>>>;

impl Function {
    fn read(
        folder: &Path,
        asks: &Asks,
        sale: &BTreeMap<String, BTreeSet<String>>,
        with_token: &BTreeSet<String>,
    ) -> anyhow::Result<Self> {
        let mut function = Self::default();
        let mut methods = BTreeSet::new();
        for (path, file) in syntax::sources(folder)? {
            let met = Met::in_file(&file);
            function.routes.extend(routes(&file, &met));
            methods.extend(store_methods(&met, asks));
            let of_sale = met
                .paths
                .iter()
                .filter(|it| it.first().is_some_and(|it| it == "sale"));
            let of_sale = of_sale.filter_map(|it| sale.get(it.get(1)?));
            methods.extend(of_sale.flatten().cloned());
            if READERS.iter().any(|reader| path.ends_with(reader)) {
                let texts = met.texts.iter();
                let variables = texts.filter(|it| is_variable(it)).cloned();
                function.environment.extend(variables);
                if publishes(&met) {
                    function.environment.insert("EVENTS_URL".to_owned());
                }
                function.secrets.extend(secrets(&met));
            }
        }
        let known = methods
            .iter()
            .filter_map(|method| asks.get(method)?.as_ref());
        function.asks = known.flatten().cloned().collect();
        function.with_token = function.routes.intersection(with_token).cloned().collect();
        Ok(function)
    }
}

/// What of a function reads the environment.
const READERS: [&str; 2] = ["main.rs", "platform.rs"];

fn is_variable(text: &str) -> bool {
    text.len() > 3
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Whether `env::events_url` is called, which reads `EVENTS_URL`.
fn publishes(met: &Met) -> bool {
    met.calls.iter().any(|call| {
        let path = path_of(&call.func).unwrap_or_default();
        path.last().is_some_and(|it| it == "events_url")
    })
}

/// Arguments of `env::secret` and `env::optional_secret`.
fn secrets(met: &Met) -> BTreeSet<String> {
    let calls = met.calls.iter().filter(|call| {
        let path = path_of(&call.func).unwrap_or_default();
        path.last().is_some_and(|it| it.ends_with("secret"))
    });
    calls
        .filter_map(|call| text_of(call.args.first()?))
        .collect()
}

/// The first arguments of `.route(...)`; a constant's text stands in the same file.
fn routes(file: &File, met: &Met) -> Vec<String> {
    let constant = |name: &str| {
        file.items.iter().find_map(|item| match item {
            Item::Const(it) if it.ident == name => text_of(&it.expr),
            _ => None,
        })
    };
    let calls = met.methods.iter().filter(|it| it.method == "route");
    calls
        .filter_map(|call| {
            let path = call.args.first()?;
            text_of(path).or_else(|| constant(path_of(path)?.last()?))
        })
        .collect()
}

/// Methods of the store that are called on something called `store`.
fn store_methods(met: &Met, asks: &Asks) -> BTreeSet<String> {
    let calls = met.methods.iter().filter(|call| is_store(&call.receiver));
    let names = calls.map(|call| call.method.to_string());
    names.filter(|name| asks.contains_key(name)).collect()
}

fn is_store(expression: &Expr) -> bool {
    match expression {
        Expr::Field(it) => matches!(&it.member, syn::Member::Named(name) if name == "store"),
        Expr::Path(it) => it.path.is_ident("store"),
        Expr::MethodCall(it) => it.args.is_empty() && is_store(&it.receiver),
        Expr::Reference(it) => is_store(&it.expr),
        Expr::Paren(it) => is_store(&it.expr),
        Expr::Unary(it) => is_store(&it.expr),
        _ => false,
    }
}

/// The functions and types of a crate, and the store's methods that each leads to.
fn items(folder: &Path, asks: &Asks) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let mut met: BTreeMap<String, Vec<Met>> = BTreeMap::new();
    for (_, file) in syntax::sources(folder)? {
        for item in &file.items {
            let name = match item {
                Item::Fn(it) => it.sig.ident.to_string(),
                Item::Struct(it) => it.ident.to_string(),
                Item::Impl(it) => match &*it.self_ty {
                    syn::Type::Path(path) => syntax::segments(&path.path).pop().unwrap_or_default(),
                    _ => continue,
                },
                _ => continue,
            };
            met.entry(name).or_default().push(Met::in_item(item));
        }
    }
    let reach = |name: &str| {
        let (mut found, mut seen, mut open) =
            (BTreeSet::new(), BTreeSet::new(), vec![name.to_owned()]);
        while let Some(name) = open.pop() {
            for met in met.get(&name).into_iter().flatten() {
                found.extend(store_methods(met, asks));
                let named = met.paths.iter().filter_map(|path| path.last().cloned());
                open.extend(named.filter(|name| seen.insert(name.clone())));
            }
        }
        found
    };
    Ok(met.keys().map(|name| (name.clone(), reach(name))).collect())
}

/// The names of the methods of all traits.
fn port(file: &File) -> Vec<String> {
    let traits = file.items.iter().filter_map(|item| match item {
        Item::Trait(it) => Some(&it.items),
        _ => None,
    });
    let methods = traits.flatten().filter_map(|item| match item {
        TraitItem::Fn(it) => Some(it.sig.ident.to_string()),
        _ => None,
    });
    methods.collect()
}

/// The paths of the API's document whose operations ask for a token, as routes of the code.
fn with_token(path: &Path) -> anyhow::Result<BTreeSet<String>> {
    let document: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let paths = document["paths"]
        .as_object()
        .context("the document has no paths")?;
    let asks = |item: &serde_json::Value| {
        let operations = item
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::values);
        operations
            .into_iter()
            .any(|it| it.get("security").is_some())
    };
    Ok(paths
        .iter()
        .filter(|(_, item)| asks(item))
        .map(|(path, _)| path.clone())
        .collect())
}

/// The sources of a folder, by their names without `.rs`.
fn named(folder: &Path) -> anyhow::Result<Vec<(String, File)>> {
    let sources = syntax::sources(folder)?.into_iter();
    let named = sources.map(|(path, file)| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        (name.into_owned(), file)
    });
    Ok(named.collect())
}
