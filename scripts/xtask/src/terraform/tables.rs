//! The store's tables: `tables.rs` of the adapter against `local.tables`.

use std::collections::{BTreeMap, BTreeSet};

use hcl::Expression;
use syn::{Expr, ExprCall, File, Item};

use super::{
    Finding,
    configuration::Configuration,
    expression::{member, members, plain},
    syntax::{Met, path_of, text_of},
};

/// One table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// Attributes of keys, and their types: `S`, `N`.
    pub(super) attributes: BTreeMap<String, String>,
    /// Indexes: partition, sort and projection by name.
    pub(super) indexes: BTreeMap<String, [String; 3]>,
    /// The attribute that says when a row ends.
    pub(super) ttl: Option<String>,
}

/// Finds tables that differ.
pub(super) fn check(configuration: &Configuration, code: &BTreeMap<String, Table>) -> Vec<Finding> {
    let written = configured(configuration);
    let names: BTreeSet<&String> = written.keys().chain(code.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let at = format!("local.tables.{name}");
        match (written.get(name), code.get(name)) {
            (Some(_), None) => found.push(Finding::new(at, "is no table of the code")),
            (None, Some(_)) => {
                found.push(Finding::new(at, "is a table of the code, and lacks here"));
            }
            (Some(here), Some(code)) if here != code => {
                let problem = format!("is {here:?}, and in the code {code:?}");
                found.push(Finding::new(at, problem));
            }
            _ => {}
        }
    }
    found
}

fn configured(configuration: &Configuration) -> BTreeMap<String, Table> {
    let tables = configuration
        .local("tables")
        .map(members)
        .unwrap_or_default();
    tables
        .into_iter()
        .map(|(name, it)| (name, table(it)))
        .collect()
}

fn table(expression: &Expression) -> Table {
    let part = |name| member(expression, name).map(members).unwrap_or_default();
    let attributes = part("attributes").into_iter();
    let indexes = part("indexes").into_iter();
    Table {
        attributes: attributes
            .filter_map(|(name, kind)| Some((name, plain(kind)?)))
            .collect(),
        indexes: indexes
            .map(|(name, it)| {
                let text = |part| member(it, part).and_then(plain).unwrap_or_default();
                (name, ["partition", "sort", "projection"].map(text))
            })
            .collect(),
        ttl: member(expression, "ttl").and_then(plain),
    }
}

/// Constants and the names of tables that they stand for.
pub(super) fn names(file: &File) -> BTreeMap<String, String> {
    let constants = file.items.iter().filter_map(|item| match item {
        Item::Const(it) => Some((it.ident.to_string(), text_of(&it.expr)?)),
        _ => None,
    });
    constants.collect()
}

/// The tables as the code makes them.
pub(super) fn in_code(file: &File, names: &BTreeMap<String, String>) -> BTreeMap<String, Table> {
    let table_of = |it: &Expr| names.get(path_of(it)?.last()?).cloned();
    let made = file.items.iter().find_map(|item| match item {
        Item::Fn(it) if it.sig.ident == "tables" => Some(Met::in_block(&it.block)),
        _ => None,
    });
    let mut tables = BTreeMap::new();
    for tuple in made.iter().flat_map(|met| &met.tuples) {
        let Some(name) = tuple.elems.first().and_then(table_of) else {
            continue;
        };
        let mut table = Table::default();
        table.attributes.insert("id".to_owned(), "S".to_owned());
        for call in tuple
            .elems
            .iter()
            .skip(1)
            .flat_map(|it| Met::in_expr(it).calls)
        {
            index(&call, &mut table);
        }
        tables.insert(name, table);
    }
    let whole = Met::in_file(file);
    let enabled = whole.methods.iter().filter(|it| it.method == "enable_ttl");
    let attribute = whole.texts.iter().find(|it| *it == "ttl");
    for name in enabled.filter_map(|it| table_of(it.args.first()?)) {
        if let Some(table) = tables.get_mut(&name) {
            table.ttl = attribute.cloned();
        }
    }
    tables
}

/// `Index("due", ("due_shard", N), ("due_at", N), All)`
fn index(call: &ExprCall, table: &mut Table) {
    let arguments: Vec<&Expr> = call.args.iter().collect();
    let [name, Expr::Tuple(partition), Expr::Tuple(sort), projection] = arguments.as_slice() else {
        return;
    };
    let mut key = |tuple: &syn::ExprTuple| {
        let name = text_of(tuple.elems.first()?)?;
        let kind = path_of(tuple.elems.get(1)?)?.pop()?;
        table.attributes.insert(name.clone(), kind);
        Some(name)
    };
    let (partition, sort) = (key(partition), key(sort));
    let projection = match path_of(projection).and_then(|mut it| it.pop()).as_deref() {
        Some("All") => "ALL",
        Some("KeysOnly") => "KEYS_ONLY",
        _ => "",
    };
    if let (Some(name), Some(partition), Some(sort)) = (text_of(name), partition, sort) {
        table
            .indexes
            .insert(name, [partition, sort, projection.to_owned()]);
    }
}
