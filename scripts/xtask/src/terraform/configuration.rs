//! The configuration as it is written: the blocks of a module's files.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::Context as _;
use hcl::{Block, Body, Expression};

/// One module: the root, or one that it calls.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    /// The blocks of all its files.
    pub(super) blocks: Vec<Block>,
    /// Modules that it calls by a relative path, by the names of the calls.
    pub(super) modules: BTreeMap<String, Configuration>,
}

impl Configuration {
    /// Reads the module in `folder`, and those that it calls.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut blocks = Vec::new();
        for path in files(folder, "tf")? {
            blocks.extend(parse(&path)?.into_blocks());
        }
        let mut modules = BTreeMap::new();
        for call in blocks.iter().filter(|it| it.identifier() == "module") {
            if let (Some(name), Some(source)) = (label(call, 0), text(call, "source")) {
                modules.insert(name.to_owned(), Self::read(&folder.join(source))?);
            }
        }
        Ok(Self { blocks, modules })
    }

    /// The module in one text, without modules of its own.
    #[cfg(test)]
    pub(super) fn parse(text: &str) -> Self {
        Self {
            blocks: hcl::parse(text).unwrap().into_blocks().collect(),
            modules: BTreeMap::new(),
        }
    }

    /// The blocks of this kind: `resource`, `variable`.
    pub(super) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks
            .iter()
            .filter(move |block| block.identifier() == kind)
    }

    /// Labels of the blocks of this kind, joined with dots: `aws_sqs_queue.orders`.
    pub(super) fn labels(&self, kind: &str) -> BTreeSet<String> {
        self.of_kind(kind).map(labels).collect()
    }

    /// A local value's expression.
    pub(super) fn local(&self, name: &str) -> Option<&Expression> {
        let mut locals = self
            .of_kind("locals")
            .flat_map(|block| block.body().attributes());
        locals.find(|it| it.key() == name).map(hcl::Attribute::expr)
    }
}

/// A block's labels, joined with dots.
pub(super) fn labels(block: &Block) -> String {
    let labels: Vec<&str> = block.labels().iter().map(hcl::BlockLabel::as_str).collect();
    labels.join(".")
}

/// Where a block is: `resource aws_sqs_queue.orders`.
pub(super) fn address(block: &Block) -> String {
    format!("{} {}", block.identifier(), labels(block))
        .trim_end()
        .to_owned()
}

fn label(block: &Block, index: usize) -> Option<&str> {
    block.labels().get(index).map(hcl::BlockLabel::as_str)
}

/// The attribute's expression, if the block has it.
pub(super) fn attribute<'a>(block: &'a Block, name: &str) -> Option<&'a Expression> {
    let mut attributes = block.body().attributes();
    attributes
        .find(|it| it.key() == name)
        .map(hcl::Attribute::expr)
}

/// The attribute's text, if it is a plain one.
pub(super) fn text<'a>(block: &'a Block, name: &str) -> Option<&'a str> {
    match attribute(block, name)? {
        Expression::String(text) => Some(text),
        _ => None,
    }
}

/// The files with values of variables in `folder`: their names and contents.
pub(super) fn tfvars(folder: &Path) -> anyhow::Result<Vec<(String, Body)>> {
    let files = files(folder, "tfvars")?;
    files
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Ok((name.into_owned(), parse(path)?))
        })
        .collect()
}

fn files(folder: &Path, extension: &str) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let entries = folder
        .read_dir()
        .with_context(|| folder.display().to_string())?;
    let mut files: Vec<_> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|it| it == extension));
    files.sort();
    Ok(files)
}

fn parse(path: &Path) -> anyhow::Result<Body> {
    let context = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(context)?;
    hcl::parse(&text).with_context(context)
}
