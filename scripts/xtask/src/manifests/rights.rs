//! Who may do what: `prewarm` one thing, everybody else nothing. And no secret is in the project.

use serde_json::json;

use super::{Problem, documents::Document};

pub(super) fn check(documents: &[Document]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut roles = 0;
    for document in documents {
        let problem = match document.kind() {
            "Role" => {
                roles += 1;
                wrong_role(document)
            }
            "RoleBinding" => wrong_binding(document),
            "ClusterRole" | "ClusterRoleBinding" => Some("nobody has rights to the whole cluster"),
            "Secret" => Some("a secret is made by its owner and never committed"),
            _ => None,
        };
        problems.extend(problem.map(|it| (document.title(), it.to_owned())));
    }
    if roles != 1 {
        let problem = format!("there are {roles} Roles, and prewarm's alone is needed");
        problems.push(("policies".to_owned(), problem));
    }
    problems
}

fn wrong_role(role: &Document) -> Option<&'static str> {
    let rules = json!([{
        "apiGroups": ["serving.knative.dev"],
        "resources": ["services"],
        "resourceNames": ["spike", "spike-token", "access-check"],
        "verbs": ["get", "patch"],
    }]);
    (role.name() != "prewarm" || *role.value("/rules") != rules)
        .then_some("prewarm may get and patch the three hot Services, and nothing else")
}

fn wrong_binding(binding: &Document) -> Option<&'static str> {
    let subjects = binding.list("/subjects");
    let is_prewarm = |subject: &serde_json::Value| {
        subject["kind"] == "ServiceAccount" && subject["name"] == "prewarm"
    };
    (binding.text("/roleRef/name") != "prewarm"
        || subjects.len() != 1
        || !subjects.iter().all(is_prewarm))
    .then_some("binds something else than prewarm's account to prewarm's role")
}
