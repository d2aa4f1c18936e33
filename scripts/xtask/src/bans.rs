//! Crates that must not be linked, against `[bans]` of `deny.toml`.

use crate::{Rule, Violation, policy::Bans, workspace::Workspace};

/// Finds banned crates and says who brought them in.
#[must_use]
pub fn check(workspace: &Workspace, policy: &Bans) -> Vec<Violation> {
    let mut violations = Vec::new();
    for ban in &policy.deny {
        for package in workspace.packages.iter().filter(|it| it.name == ban.name) {
            let users = package.used_by.iter();
            for user in users.filter(|user| !ban.wrappers.contains(user)) {
                let problem = format!("is banned ({}), but {user} uses it", ban.reason);
                let at = format!("{} {}", package.name, package.version);
                violations.push(Violation::new(Rule::Bans, at, problem));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture::with_packages, policy::Ban, workspace::Foreign};

    #[test]
    fn a_banned_crate_is_found_unless_its_user_is_excepted() {
        let policy = Bans {
            multiple_versions: "allow".to_owned(),
            deny: vec![Ban {
                name: "openssl".to_owned(),
                reason: "one TLS stack".to_owned(),
                wrappers: vec!["excepted".to_owned()],
            }],
        };
        let used_by = |users: &[&str]| Foreign {
            name: "openssl".to_owned(),
            version: "1.0.0".to_owned(),
            used_by: users.iter().map(ToString::to_string).collect(),
            ..Foreign::default()
        };
        assert!(check(&with_packages([used_by(&["excepted"])]), &policy).is_empty());
        let found = check(&with_packages([used_by(&["excepted", "client"])]), &policy);
        assert_eq!(
            found[0].to_string(),
            "bans: openssl 1.0.0: is banned (one TLS stack), but client uses it"
        );
        assert_eq!(found.len(), 1);
    }
}
