//! The part of `cargo metadata` that the rules look at.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::Path,
};

use anyhow::Context as _;
use cargo_metadata::{
    CargoOpt, DependencyKind, Metadata, MetadataCommand, Node, Package, PackageId, Resolve,
    TargetKind,
};

/// Our crates, and all that they are built from.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    /// Our crates.
    pub members: Vec<Member>,
    /// The crates of others that take part in some build of ours.
    pub packages: Vec<Foreign>,
}

/// One of our crates.
#[derive(Debug, Clone, Default)]
pub struct Member {
    /// The package's name.
    pub name: String,
    /// Its folder below the project's root: `functions/spike`.
    pub folder: String,
    /// Its binaries.
    pub binaries: Vec<String>,
    /// Its library.
    pub library: Option<String>,
    /// Names of all crates that it uses outside of its tests, ours and others'.
    pub uses: BTreeSet<String>,
    /// Names of all crates that only its tests use.
    pub tests_use: BTreeSet<String>,
}

/// A crate that is not ours.
#[derive(Debug, Clone, Default)]
pub struct Foreign {
    /// The crate's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence as an SPDX expression, if it gives one.
    pub licence: Option<String>,
    /// Where it comes from (`registry+https://...`); a path has no source.
    pub source: Option<String>,
    /// The crates that use it directly.
    pub used_by: BTreeSet<String>,
}

impl Workspace {
    /// Reads the workspace at `root` as it is built for `targets` with all features.
    pub fn read(root: &Path, targets: &[String]) -> anyhow::Result<Self> {
        let mut options = vec!["--locked".to_owned()];
        for target in targets {
            options.extend(["--filter-platform".to_owned(), target.clone()]);
        }
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .features(CargoOpt::AllFeatures)
            .other_options(options)
            .exec()
            .context("cargo metadata")?;
        let members = metadata.workspace_packages();
        let members = members
            .into_iter()
            .map(|package| member(&metadata, package));
        Ok(Self {
            members: members.collect(),
            packages: foreign(&metadata).context("cargo metadata without a dependency graph")?,
        })
    }

    /// Our crates whose folder is in `group` (`functions`).
    pub fn members_of<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Member> {
        self.members
            .iter()
            .filter(move |member| member.group() == group)
    }

    /// All of our crates that `member` is built from, tests apart.
    #[must_use]
    pub fn reach(&self, member: &Member) -> BTreeSet<&str> {
        let by_name: HashMap<&str, &Member> =
            self.members.iter().map(|m| (m.name.as_str(), m)).collect();
        let mut reached = BTreeSet::new();
        let mut open = vec![member];
        while let Some(member) = open.pop() {
            for used in member
                .uses
                .iter()
                .filter_map(|name| by_name.get(name.as_str()))
            {
                if reached.insert(used.name.as_str()) {
                    open.push(used);
                }
            }
        }
        reached
    }
}

impl Member {
    /// The folder's first part: `functions`, `shared` or `scripts`.
    #[must_use]
    pub fn group(&self) -> &str {
        self.folder.split('/').next().unwrap_or_default()
    }
}

fn member(metadata: &Metadata, package: &Package) -> Member {
    let folder = package.manifest_path.parent().map(|folder| {
        let inside = folder.strip_prefix(&metadata.workspace_root);
        inside.unwrap_or(folder).to_string()
    });
    let of_kind = |kind: TargetKind| {
        let targets = package.targets.iter();
        targets.filter(move |target| target.kind.contains(&kind))
    };
    let used = |tests: bool| {
        let dependencies = package.dependencies.iter();
        dependencies
            .filter(move |dependency| (dependency.kind == DependencyKind::Development) == tests)
            .map(|dependency| dependency.name.clone())
            .collect()
    };
    Member {
        name: package.name.to_string(),
        folder: folder.unwrap_or_default(),
        binaries: of_kind(TargetKind::Bin)
            .map(|target| target.name.clone())
            .collect(),
        library: of_kind(TargetKind::Lib)
            .map(|target| target.name.clone())
            .next(),
        uses: used(false),
        tests_use: used(true),
    }
}

/// The crates of others that some build needs.
///
/// `cargo metadata` also lists optional crates that only a weak feature (`ring?/std`) names; nothing builds those, so the
/// graph is walked along the edges that a feature in force has switched on.
fn foreign(metadata: &Metadata) -> Option<Vec<Foreign>> {
    let Resolve { nodes, .. } = metadata.resolve.as_ref()?;
    let nodes: HashMap<&PackageId, &Node> = nodes.iter().map(|node| (&node.id, node)).collect();
    let packages: HashMap<&PackageId, &Package> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package))
        .collect();
    let mut used_by: HashMap<&PackageId, BTreeSet<String>> = HashMap::new();
    let mut seen: HashSet<&PackageId> = metadata.workspace_members.iter().collect();
    let mut open: Vec<&PackageId> = metadata.workspace_members.iter().collect();
    while let Some(user) = open
        .pop()
        .and_then(|id| packages.get(id).zip(nodes.get(id)))
    {
        let (package, node) = user;
        for edge in &node.deps {
            let used = packages.get(&edge.pkg)?;
            if !is_switched_on(package, node, &used.name) {
                continue;
            }
            used_by
                .entry(&used.id)
                .or_default()
                .insert(package.name.to_string());
            if seen.insert(&used.id) {
                open.push(&used.id);
            }
        }
    }
    for member in &metadata.workspace_members {
        used_by.remove(member);
    }
    let mut foreign: Vec<Foreign> = used_by
        .into_iter()
        .map(|(id, used_by)| Foreign {
            name: packages[id].name.to_string(),
            version: packages[id].version.to_string(),
            licence: packages[id].license.clone(),
            source: packages[id]
                .source
                .as_ref()
                .map(|source| source.repr.clone()),
            used_by,
        })
        .collect();
    foreign.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Some(foreign)
}

/// Whether `package` needs the crate `used` in any way, or has a feature in force that switches it on.
fn is_switched_on(package: &Package, node: &Node, used: &str) -> bool {
    let in_force = |key: &str| {
        let implied = node.features.iter().flat_map(|feature| {
            let implied = package.features.get(feature.as_str());
            implied.into_iter().flatten()
        });
        let mut implied = implied.map(String::as_str);
        implied.any(|feature| {
            let named = feature.strip_prefix("dep:").unwrap_or(feature);
            let (named, of_crate) = named.split_once('/').unwrap_or((named, ""));
            // `key` alone may be a feature of the same name; only with `dep:` or `key/feature` does it name the crate.
            named == key && (feature.starts_with("dep:") || !of_crate.is_empty())
        })
    };
    let mut declared = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.name == used);
    declared.any(|dependency| {
        let key = dependency.rename.as_ref().unwrap_or(&dependency.name);
        !dependency.optional || in_force(key)
    })
}
