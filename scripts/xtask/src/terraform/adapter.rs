//! What each method of the store asks of `DynamoDB`, read from the adapter's source.
//!
//! The adapter's requests are made in few ways: `get`, `get_all`, `put`, `change`, `delete`, `list`, and the parts of
//! transactions. The table is an argument, or stands in the `Change` or `Listing` that is handed on; it is looked for in
//! the expression, then in the functions that it calls, then in the function around it.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Expr, File, ImplItem, Item};

use super::syntax::{Met, path_of, text_of};

/// A table, or `table/index`, and an action.
pub(super) type Ask = (String, &'static str);

/// Requests whose first argument is the table, and what they are to `DynamoDB`.
const NAMED: &[(&str, &str)] = &[
    ("get", "GetItem"),
    ("get_all", "BatchGetItem"),
    ("put", "PutItem"),
];
/// Requests that are handed a `Change`. In a transaction, each part needs the right that it needs alone.
const CHANGES: &[(&str, &str)] = &[("change", "UpdateItem"), ("delete", "DeleteItem")];
const PARTS: &[(&str, &str)] = &[
    ("in_transaction", "UpdateItem"),
    ("deletion_in_transaction", "DeleteItem"),
];
/// Requests that are handed a `Listing`.
const LISTS: &[&str] = &["list", "list_page"];

/// The adapter's functions.
pub(super) struct Adapter {
    /// By file and name; methods of all types of a file together.
    functions: BTreeMap<(String, String), Met>,
    /// Those that are no methods: a plain name is one of these, or a variable.
    free: BTreeSet<(String, String)>,
    /// In which file a method of the store is.
    methods: BTreeMap<String, String>,
    /// Constants with the tables' names.
    tables: BTreeMap<String, String>,
}

/// What a function asks for; `open` if it lists what its caller hands it.
#[derive(Debug, Default)]
struct Asked {
    asks: BTreeSet<Ask>,
    open: bool,
}

impl Adapter {
    /// Reads the adapter's files, by their names without `.rs`.
    pub(super) fn new(files: &[(String, File)], tables: &BTreeMap<String, String>) -> Self {
        let mut adapter = Self {
            functions: BTreeMap::new(),
            free: BTreeSet::new(),
            methods: BTreeMap::new(),
            tables: tables.clone(),
        };
        for (name, file) in files {
            for item in &file.items {
                match item {
                    Item::Fn(it) => {
                        adapter.add(name, &it.sig, &it.block);
                        adapter
                            .free
                            .insert((name.clone(), it.sig.ident.to_string()));
                    }
                    Item::Impl(it) => {
                        let is_store = matches!(&*it.self_ty, syn::Type::Path(path) if path.path.is_ident("DynamoStore"));
                        for item in &it.items {
                            if let ImplItem::Fn(it) = item {
                                adapter.add(name, &it.sig, &it.block);
                                if is_store {
                                    adapter
                                        .methods
                                        .insert(it.sig.ident.to_string(), name.clone());
                                }
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        adapter
    }

    fn add(&mut self, file: &str, signature: &syn::Signature, block: &syn::Block) {
        let key = (file.to_owned(), signature.ident.to_string());
        self.functions.insert(key, Met::in_block(block));
    }

    /// What a method of the store asks for; `None` if that cannot be told.
    pub(super) fn asks(&self, method: &str) -> Option<BTreeSet<Ask>> {
        let file = self.methods.get(method)?;
        let asked = self.asked(file, method, &mut BTreeSet::new());
        (!asked.open && !asked.asks.is_empty()).then_some(asked.asks)
    }

    fn asked(&self, file: &str, name: &str, seen: &mut BTreeSet<(String, String)>) -> Asked {
        let key = (file.to_owned(), name.to_owned());
        let mut asked = Asked::default();
        let (Some(met), true) = (self.functions.get(&key), seen.insert(key)) else {
            return asked;
        };
        for call in &met.methods {
            let method = call.method.to_string();
            let is_own = matches!(&*call.receiver, Expr::Path(it) if it.path.is_ident("self"));
            let arguments: Vec<&Expr> = call.args.iter().collect();
            let mut ask = |tables: BTreeSet<String>, action| {
                asked
                    .asks
                    .extend(tables.into_iter().map(|table| (table, action)));
            };
            if let Some((_, action)) = PARTS.iter().find(|it| it.0 == method) {
                ask(self.changed(file, met, &[&call.receiver]), action);
            } else if !is_own {
                let inner = self.asked(file, &method, seen);
                asked.asks.extend(inner.asks);
            } else if let Some((_, action)) = NAMED.iter().find(|it| it.0 == method) {
                ask(self.table(arguments[0]).into_iter().collect(), action);
            } else if let Some((_, action)) = CHANGES.iter().find(|it| it.0 == method) {
                ask(self.changed(file, met, &arguments), action);
            } else if LISTS.contains(&method.as_str()) {
                let listed = self.listed(file, met, &arguments);
                asked.open |= listed.is_empty();
                asked
                    .asks
                    .extend(listed.into_iter().map(|it| (it, "Query")));
            } else if let Some(home) = self.methods.get(&method) {
                let inner = self.asked(home, &method, seen);
                asked.asks.extend(inner.asks);
                if inner.open {
                    let listed = self.listed(file, met, &arguments);
                    asked.open |= listed.is_empty();
                    asked
                        .asks
                        .extend(listed.into_iter().map(|it| (it, "Query")));
                }
            }
        }
        for call in &met.calls {
            let path = path_of(&call.func).unwrap_or_default();
            if path.last().is_some_and(|it| it == "put_if_absent") {
                let table = call.args.first().and_then(|it| self.table(it));
                let tables = table.map_or_else(|| self.written(file), |it| [it].into());
                asked
                    .asks
                    .extend(tables.into_iter().map(|it| (it, "PutItem")));
            }
        }
        for path in &met.paths {
            let inner = match path.as_slice() {
                [name] if self.is_variable(file, name) => continue,
                [home, name] if self.functions.contains_key(&(home.clone(), name.clone())) => {
                    self.asked(home, name, seen)
                }
                [.., name] => self.asked(file, name, seen),
                [] => continue,
            };
            asked.asks.extend(inner.asks);
        }
        asked
    }

    fn is_variable(&self, file: &str, name: &str) -> bool {
        !self.free.contains(&(file.to_owned(), name.to_owned()))
    }

    fn table(&self, expression: &Expr) -> Option<String> {
        let path = path_of(expression)?;
        self.tables.get(path.last()?).cloned()
    }

    /// Tables of what a file pairs with an item: `(CLAIMS, item)`.
    fn written(&self, file: &str) -> BTreeSet<String> {
        let functions = self.functions.iter().filter(|((home, _), _)| home == file);
        functions
            .flat_map(|(_, met)| &met.tuples)
            .filter_map(|tuple| self.table(tuple.elems.first()?))
            .collect()
    }

    /// Tables of the `Change`s in `expressions`.
    fn changed(&self, file: &str, around: &Met, expressions: &[&Expr]) -> BTreeSet<String> {
        self.search(file, around, expressions, &|met| {
            let fields = met.structs.iter().flat_map(|it| &it.fields);
            let tables = fields
                .filter(|it| matches!(&it.member, syn::Member::Named(name) if name == "table"));
            tables.filter_map(|it| self.table(&it.expr)).collect()
        })
    }

    /// Indexes of the `Listing`s in `expressions`.
    fn listed(&self, file: &str, around: &Met, expressions: &[&Expr]) -> BTreeSet<String> {
        self.search(file, around, expressions, &|met| {
            let calls = met.calls.iter();
            let listings =
                calls.filter(|it| path_of(&it.func).is_some_and(|it| it == ["Listing", "of"]));
            let names = listings.filter_map(|it| match it.args.first()? {
                Expr::Tuple(names) => {
                    Some((self.table(&names.elems[0])?, text_of(&names.elems[1])?))
                }
                _ => None,
            });
            names
                .map(|(table, index)| format!("{table}/{index}"))
                .collect()
        })
    }

    /// What `find` finds in the expressions, else in what they call, else in the function around and in what that calls.
    fn search(
        &self,
        file: &str,
        around: &Met,
        expressions: &[&Expr],
        find: &dyn Fn(&Met) -> BTreeSet<String>,
    ) -> BTreeSet<String> {
        let called = |met: &Met| {
            let paths = met.paths.iter();
            let called = paths.filter_map(|path| {
                let (name, before) = path.split_last()?;
                let home = before.last().map_or(file, String::as_str);
                let is_variable = before.is_empty() && self.is_variable(file, name);
                let key = (home.to_owned(), name.clone());
                self.functions.get(&key).filter(|_| !is_variable)
            });
            called.flat_map(find).collect::<BTreeSet<_>>()
        };
        for expression in expressions {
            let met = Met::in_expr(expression);
            let found: BTreeSet<String> = find(&met).into_iter().chain(called(&met)).collect();
            if !found.is_empty() {
                return found;
            }
        }
        let own = find(around);
        if own.is_empty() { called(around) } else { own }
    }
}
