//! Workspaces to break rules with.

use crate::workspace::{Foreign, Member, Workspace};

pub(crate) fn workspace<const N: usize>(members: [Member; N]) -> Workspace {
    Workspace {
        members: members.into(),
        packages: Vec::new(),
    }
}

pub(crate) fn with_packages<const N: usize>(packages: [Foreign; N]) -> Workspace {
    Workspace {
        members: Vec::new(),
        packages: packages.into(),
    }
}

pub(crate) fn function(name: &str, uses: &[&str]) -> Member {
    Member {
        binaries: vec![name.to_owned()],
        ..member("functions", name, uses)
    }
}

pub(crate) fn shared(name: &str, uses: &[&str]) -> Member {
    member("shared", name, uses)
}

pub(crate) fn script(name: &str, uses: &[&str]) -> Member {
    member("scripts", name, uses)
}

fn member(group: &str, name: &str, uses: &[&str]) -> Member {
    Member {
        name: name.to_owned(),
        folder: format!("{group}/{name}"),
        library: Some(name.replace('-', "_")),
        uses: uses.iter().map(ToString::to_string).collect(),
        ..Member::default()
    }
}
