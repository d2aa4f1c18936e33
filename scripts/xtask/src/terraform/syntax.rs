//! Looking through Rust sources: what a piece of code calls and names, without its tests.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use syn::{
    Attribute, Expr, ExprMethodCall, File, Item, LitStr, Macro, Token, UseTree,
    punctuated::Punctuated, visit, visit::Visit,
};

/// What was met in a piece of code.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Method calls.
    pub(super) methods: Vec<ExprMethodCall>,
    /// Calls of functions.
    pub(super) calls: Vec<syn::ExprCall>,
    /// All paths, of types too, as their segments.
    pub(super) paths: Vec<Vec<String>>,
    /// Literals of structs.
    pub(super) structs: Vec<syn::ExprStruct>,
    /// Tuples.
    pub(super) tuples: Vec<syn::ExprTuple>,
    /// Texts.
    pub(super) texts: Vec<String>,
}

impl<'ast> Visit<'ast> for Met {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.methods.push(call.clone());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        self.calls.push(call.clone());
        visit::visit_expr_call(self, call);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.push(segments(path));
        visit::visit_path(self, path);
    }

    fn visit_expr_struct(&mut self, literal: &'ast syn::ExprStruct) {
        self.structs.push(literal.clone());
        visit::visit_expr_struct(self, literal);
    }

    fn visit_expr_tuple(&mut self, tuple: &'ast syn::ExprTuple) {
        self.tuples.push(tuple.clone());
        visit::visit_expr_tuple(self, tuple);
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.texts.push(text.value());
    }

    /// `join!(a, b)` and `vec![a, b]` hold expressions; what holds something else is left alone.
    fn visit_macro(&mut self, it: &'ast Macro) {
        let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
        if let Ok(expressions) = it.parse_body_with(parser) {
            let mut inside = Self::default();
            for expression in &expressions {
                inside.visit_expr(expression);
            }
            self.add(inside);
        }
    }

    fn visit_item_use(&mut self, it: &'ast syn::ItemUse) {
        imports(&it.tree, &mut Vec::new(), &mut self.paths);
    }

    fn visit_item_mod(&mut self, it: &'ast syn::ItemMod) {
        if !is_test(&it.attrs) {
            visit::visit_item_mod(self, it);
        }
    }
}

impl Met {
    fn add(&mut self, other: Self) {
        self.methods.extend(other.methods);
        self.calls.extend(other.calls);
        self.paths.extend(other.paths);
        self.structs.extend(other.structs);
        self.tuples.extend(other.tuples);
        self.texts.extend(other.texts);
    }

    pub(super) fn in_expr(expression: &Expr) -> Self {
        let mut met = Self::default();
        met.visit_expr(expression);
        met
    }

    pub(super) fn in_block(block: &syn::Block) -> Self {
        let mut met = Self::default();
        met.visit_block(block);
        met
    }

    pub(super) fn in_item(item: &Item) -> Self {
        let mut met = Self::default();
        met.visit_item(item);
        met
    }

    pub(super) fn in_file(file: &File) -> Self {
        let mut met = Self::default();
        met.visit_file(file);
        met
    }
}

fn imports(tree: &UseTree, before: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    match tree {
        UseTree::Path(it) => {
            before.push(it.ident.to_string());
            imports(&it.tree, before, paths);
            before.pop();
        }
        UseTree::Name(it) => paths.push([before.clone(), vec![it.ident.to_string()]].concat()),
        UseTree::Rename(it) => paths.push([before.clone(), vec![it.ident.to_string()]].concat()),
        UseTree::Group(it) => it.items.iter().for_each(|it| imports(it, before, paths)),
        UseTree::Glob(_) => {}
    }
}

/// The names of a path.
pub(super) fn segments(path: &syn::Path) -> Vec<String> {
    path.segments
        .iter()
        .map(|it| it.ident.to_string())
        .collect()
}

/// The names of an expression that is a path.
pub(super) fn path_of(expression: &Expr) -> Option<Vec<String>> {
    match expression {
        Expr::Path(it) => Some(segments(&it.path)),
        _ => None,
    }
}

/// The text of an expression that is one.
pub(super) fn text_of(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let mut lists = attributes
        .iter()
        .filter_map(|it| it.meta.require_list().ok());
    lists.any(|it| it.path.is_ident("cfg") && it.tokens.to_string().contains("test"))
}

/// The sources below `folder`, by path, without tests and what only tests use.
pub(super) fn sources(folder: &Path) -> anyhow::Result<Vec<(PathBuf, File)>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = folder
            .read_dir()
            .with_context(|| folder.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            let stem = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if ["tests", "testing", "conformance", "hostile"].contains(&stem.as_str()) {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push((path.clone(), file(&path)?));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// One source.
pub(super) fn file(path: &Path) -> anyhow::Result<File> {
    let context = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(context)?;
    syn::parse_file(&text).with_context(context)
}
