//! Which crate may use which: `functions -> auth -> runtime -> domain`, `functions -> sale -> adapters -> domain`.
//!
//! Nothing points back up, the adapters never see HTTP, functions do not know each other, and only `scripts/` sees them.

use crate::{
    Rule, Violation,
    workspace::{Member, Workspace},
};

/// Each crate of `shared/` and the crates of ours that it may use. A new edge is a decision: make it here.
const SHARED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("cache", &["domain"]),
    ("failpoint", &[]),
    ("observe", &[]),
    ("access", &["cache", "domain"]),
    ("aws", &[]),
    ("events", &["aws", "cache", "domain", "observe"]),
    ("stock", &["cache", "domain", "observe"]),
    ("store", &["aws", "cache", "domain", "observe"]),
    ("payments", &["cache", "domain", "observe", "store"]),
    (
        "sale",
        &[
            "access",
            "cache",
            "domain",
            "failpoint",
            "observe",
            "payments",
            "stock",
            "store",
        ],
    ),
    (
        "runtime",
        &["aws", "cache", "domain", "failpoint", "observe"],
    ),
    ("auth", &["cache", "domain", "runtime"]),
];

/// Crates of ours that know nothing of HTTP servers. Their tests may start one.
const WITHOUT_HTTP: &[&str] = &[
    "access", "cache", "domain", "events", "payments", "sale", "stock", "store",
];

/// What `WITHOUT_HTTP` must not use.
const HTTP: &[&str] = &["axum", "axum-core", "lambda_http", "tower-http"];

/// Functions that must stay small, and what they must not be built from.
const SMALL: &[&str] = &["keys", "spike-token"];
const LARGE: &[&str] = &["events", "store"];

/// Finds dependencies that point the wrong way.
#[must_use]
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut violations = Vec::new();
    for member in &workspace.members {
        let mut report = |problem: String| {
            violations.push(Violation::new(Rule::Direction, &member.name, problem));
        };
        match member.group() {
            "shared" => check_shared(workspace, member, &mut report),
            "functions" => check_function(workspace, member, &mut report),
            _ => {}
        }
    }
    violations
}

fn check_shared(workspace: &Workspace, member: &Member, report: &mut impl FnMut(String)) {
    let Some((_, allowed)) = SHARED.iter().find(|(name, _)| *name == member.name) else {
        report("has no place in the order of shared crates: give it one in xtask".to_owned());
        return;
    };
    for used in all_uses(member).filter(|used| workspace.members.iter().any(|m| m.name == **used)) {
        if used != &member.name && !allowed.contains(&used.as_str()) {
            report(format!("must not use {used}"));
        }
    }
    let sees_http = member
        .uses
        .iter()
        .filter(|used| HTTP.contains(&used.as_str()));
    for used in sees_http.filter(|_| WITHOUT_HTTP.contains(&member.name.as_str())) {
        report(format!("must not see HTTP, but uses {used}"));
    }
}

fn check_function(workspace: &Workspace, member: &Member, report: &mut impl FnMut(String)) {
    for group in ["functions", "scripts"] {
        for other in workspace.members_of(group) {
            if other.name != member.name && all_uses(member).any(|used| *used == other.name) {
                report(format!("a function must not use {group}/{}", other.name));
            }
        }
    }
    if SMALL.contains(&member.name.as_str()) {
        let reach = workspace.reach(member);
        for large in LARGE.iter().filter(|large| reach.contains(*large)) {
            report(format!("must be built without {large}"));
        }
    }
}

fn all_uses(member: &Member) -> impl Iterator<Item = &String> {
    member.uses.union(&member.tests_use)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{function, script, shared, workspace};

    fn violations<const N: usize>(members: [Member; N]) -> Vec<String> {
        let violations = check(&workspace(members));
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_order_of_the_design_passes() {
        let members = [
            shared("domain", &[]),
            shared("store", &["domain", "aws-sdk-dynamodb"]),
            shared("runtime", &["domain", "axum"]),
            shared("auth", &["runtime", "domain", "axum"]),
            function("spike-token", &["auth", "runtime"]),
            function("order-writer", &["runtime", "store"]),
            script("local", &["order-writer", "spike-token"]),
        ];
        assert_eq!(violations(members), Vec::<String>::new());
    }

    #[test]
    fn a_shared_crate_that_points_up_is_found() {
        let members = [
            shared("domain", &["store"]),
            shared("store", &["auth"]),
            shared("auth", &[]),
        ];
        assert_eq!(
            violations(members),
            [
                "direction: domain: must not use store",
                "direction: store: must not use auth"
            ]
        );
    }

    #[test]
    fn tests_of_a_shared_crate_may_not_point_up_either() {
        let mut domain = shared("domain", &[]);
        domain.tests_use.insert("spike".to_owned());
        assert_eq!(
            violations([domain, function("spike", &[])]),
            ["direction: domain: must not use spike"]
        );
    }

    #[test]
    fn an_adapter_that_sees_http_is_found_but_its_tests_may() {
        let mut events = shared("events", &[]);
        events.tests_use.insert("axum".to_owned());
        assert_eq!(
            violations([events, shared("stock", &["axum"])]),
            ["direction: stock: must not see HTTP, but uses axum"]
        );
    }

    #[test]
    fn a_shared_crate_without_a_place_is_found() {
        assert_eq!(
            violations([shared("helpers", &[])]),
            [
                "direction: helpers: has no place in the order of shared crates: give it one in xtask"
            ]
        );
    }

    #[test]
    fn a_function_that_uses_a_function_or_a_script_is_found() {
        let members = [
            function("spike", &["spike-list", "local"]),
            function("spike-list", &[]),
            script("local", &[]),
        ];
        assert_eq!(
            violations(members),
            [
                "direction: spike: a function must not use functions/spike-list",
                "direction: spike: a function must not use scripts/local"
            ]
        );
    }

    #[test]
    fn a_small_function_that_reaches_the_store_is_found() {
        let members = [
            function("keys", &["sale"]),
            shared("sale", &["store"]),
            shared("store", &[]),
        ];
        assert_eq!(
            violations(members),
            ["direction: keys: must be built without store"]
        );
    }
}
