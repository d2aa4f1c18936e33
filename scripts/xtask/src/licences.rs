//! The licences of all dependencies, against `[licenses]` of `deny.toml`.

use crate::{
    Rule, Violation, expression,
    policy::Licenses,
    workspace::{Foreign, Workspace},
};

/// Finds crates whose licence is missing, unreadable or not on the list.
#[must_use]
pub fn check(workspace: &Workspace, policy: &Licenses) -> Vec<Violation> {
    let packages = workspace.packages.iter();
    packages
        .filter_map(|package| {
            let problem = problem(package, policy)?;
            let at = format!("{} {}", package.name, package.version);
            Some(Violation::new(Rule::Licences, at, problem))
        })
        .collect()
}

fn problem(package: &Foreign, policy: &Licenses) -> Option<String> {
    let clarified = policy.clarify.iter().find(|it| it.name == package.name);
    let clarified = clarified.map(|it| &it.expression);
    let Some(licence) = package.licence.as_ref().or(clarified) else {
        return Some("names no licence".to_owned());
    };
    let allowed = |licence: &str| {
        let exceptions = policy.exceptions.iter();
        let exceptions = exceptions.filter(|it| it.name == package.name);
        let mut lists = exceptions.map(|it| &it.allow).chain([&policy.allow]);
        lists.any(|list| list.iter().any(|it| it == licence))
    };
    match expression::is_satisfied(licence, &allowed) {
        Some(true) => None,
        Some(false) => Some(format!("licence {licence} is not on the list")),
        None => Some(format!("licence {licence} is no SPDX expression")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture::with_packages, policy::LicenseException};

    fn problems(name: &str, licence: Option<&str>) -> Vec<String> {
        let policy = Licenses {
            allow: vec!["MIT".to_owned()],
            exceptions: vec![LicenseException {
                name: "odd".to_owned(),
                allow: vec!["BSL-1.0".to_owned()],
            }],
            clarify: Vec::new(),
        };
        let package = Foreign {
            name: name.to_owned(),
            licence: licence.map(str::to_owned),
            ..Foreign::default()
        };
        let violations = check(&with_packages([package]), &policy);
        violations.into_iter().map(|it| it.problem).collect()
    }

    #[test]
    fn a_licence_off_the_list_is_found() {
        assert!(problems("fine", Some("MIT OR GPL-3.0")).is_empty());
        assert_eq!(
            problems("copyleft", Some("GPL-3.0")),
            ["licence GPL-3.0 is not on the list"]
        );
    }

    #[test]
    fn an_exception_is_for_its_crate_only() {
        assert!(problems("odd", Some("BSL-1.0")).is_empty());
        assert_eq!(problems("other", Some("BSL-1.0")).len(), 1);
    }

    #[test]
    fn a_missing_or_unreadable_licence_is_found() {
        assert_eq!(problems("none", None), ["names no licence"]);
        assert_eq!(
            problems("odd", Some("see file")),
            ["licence see file is no SPDX expression"]
        );
    }
}
