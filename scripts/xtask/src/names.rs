//! One name everywhere: folder = package = binary, and in `functions/` a library besides.

use crate::{
    Rule, Violation,
    workspace::{Member, Workspace},
};

/// Finds crates whose names differ from their folders, and functions that lack a part.
#[must_use]
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let members = workspace.members.iter();
    members
        .flat_map(|member| {
            let problems = problems(member);
            problems
                .into_iter()
                .map(|problem| Violation::new(Rule::Names, &member.folder, problem))
        })
        .collect()
}

fn problems(member: &Member) -> Vec<String> {
    let Member {
        name,
        folder,
        binaries,
        library,
        ..
    } = member;
    let mut problems = Vec::new();
    if folder.split_once('/').map(|(_, last)| last) != Some(name) {
        problems.push(format!("the package is called {name}, unlike its folder"));
    }
    if let Some(library) = library.as_ref().filter(|it| **it != name.replace('-', "_")) {
        problems.push(format!("the library is called {library}, not {name}"));
    }
    for binary in binaries.iter().filter(|binary| *binary != name) {
        problems.push(format!("the binary is called {binary}, not {name}"));
    }
    let (needs_library, binaries_wanted) = match member.group() {
        "functions" => (true, 1..=1),
        "shared" => (true, 0..=0),
        "scripts" => (false, 0..=1),
        group => {
            problems.push(format!(
                "{group}/ is no place for a crate: functions/, shared/ or scripts/"
            ));
            (false, 0..=1)
        }
    };
    if needs_library && library.is_none() {
        problems.push("has no library".to_owned());
    }
    if !binaries_wanted.contains(&binaries.len()) {
        let wanted = binaries_wanted.end();
        problems.push(format!("has {} binaries, not {wanted}", binaries.len()));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{function, shared, workspace};

    fn problems_of(member: Member) -> Vec<String> {
        let violations = check(&workspace([member]));
        violations.into_iter().map(|it| it.problem).collect()
    }

    #[test]
    fn a_function_and_a_library_crate_pass() {
        assert!(problems_of(function("spike-token", &[])).is_empty());
        assert!(problems_of(shared("domain", &[])).is_empty());
    }

    #[test]
    fn a_package_named_unlike_its_folder_is_found() {
        let mut member = function("spike", &[]);
        member.folder = "functions/spikes".to_owned();
        assert_eq!(
            problems_of(member),
            ["the package is called spike, unlike its folder"]
        );
    }

    #[test]
    fn a_binary_or_library_of_another_name_is_found() {
        let mut member = function("spike", &[]);
        member.binaries = vec!["bootstrap".to_owned()];
        member.library = Some("core".to_owned());
        assert_eq!(
            problems_of(member),
            [
                "the library is called core, not spike",
                "the binary is called bootstrap, not spike"
            ]
        );
    }

    #[test]
    fn a_function_without_library_or_binary_is_found() {
        let mut member = function("spike", &[]);
        member.library = None;
        assert_eq!(problems_of(member), ["has no library"]);
        let mut member = function("spike", &[]);
        member.binaries.clear();
        assert_eq!(problems_of(member), ["has 0 binaries, not 1"]);
    }

    #[test]
    fn a_binary_in_shared_and_a_crate_elsewhere_are_found() {
        let mut member = shared("domain", &[]);
        member.binaries = vec!["domain".to_owned()];
        assert_eq!(problems_of(member), ["has 1 binaries, not 0"]);
        let mut member = shared("domain", &[]);
        member.folder = "crates/domain".to_owned();
        assert_eq!(
            problems_of(member),
            ["crates/ is no place for a crate: functions/, shared/ or scripts/"]
        );
    }
}
