//! Every pod of ours: what it may on its node, and where its image comes from.

use serde_json::{Value, json};

use super::{Problem, documents::Document};

/// What Kubernetes' profile "restricted" asks of a container, and a root that cannot be written.
fn restricted() -> [(&'static str, Value); 5] {
    [
        ("/runAsNonRoot", json!(true)),
        ("/allowPrivilegeEscalation", json!(false)),
        ("/readOnlyRootFilesystem", json!(true)),
        ("/capabilities", json!({ "drop": ["ALL"] })),
        ("/seccompProfile", json!({ "type": "RuntimeDefault" })),
    ]
}

const POD: &str = "/spec/template/spec";
/// The one account that is known to the API server.
const WITH_TOKEN: &str = "prewarm";

pub(super) fn check(documents: &[Document]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let accounts = documents.iter().filter(|it| it.kind() == "ServiceAccount");
    let accounts: Vec<&str> = accounts.map(Document::name).collect();
    for document in documents.iter().filter(|it| is_workload(it)) {
        let mut report = |problem: String| problems.push((document.title(), problem));
        let account = document.text(&format!("{POD}/serviceAccountName"));
        if !accounts.contains(&account) {
            report(format!("runs as {account:?}, which is no account of ours"));
        }
        let token = document.value(&format!("{POD}/automountServiceAccountToken"));
        if *token != json!(false) && account != WITH_TOKEN {
            report("mounts a token that it does not need".to_owned());
        }
        // Of a Service, Knative takes no other word than `false` (its `PodSpecMask`).
        if !token.is_null() && account == WITH_TOKEN {
            report("says itself whether it mounts the token of its account".to_owned());
        }
        let containers = document.list(&format!("{POD}/containers"));
        if containers.is_empty() {
            report("has no container".to_owned());
        }
        let pod = document.value(&format!("{POD}/securityContext"));
        for container in containers {
            check_container(pod, container, &mut report);
        }
    }
    for account in documents.iter().filter(|it| it.kind() == "ServiceAccount") {
        let token = account.value("/automountServiceAccountToken");
        if *token != json!(account.name() == WITH_TOKEN) {
            let problem = "gives a token that nobody needs, or lacks the one that is needed";
            problems.push((account.title(), problem.to_owned()));
        }
    }
    problems
}

/// A patch of a workload has no template of its own and is none.
fn is_workload(document: &Document) -> bool {
    let runs = matches!(
        document.kind(),
        "Deployment" | "StatefulSet" | "Job" | "DaemonSet" | "CronJob"
    );
    runs || document.is_function()
}

fn check_container(pod: &Value, container: &Value, report: &mut impl FnMut(String)) {
    let own = &container["securityContext"];
    let setting = |pointer: &str| own.pointer(pointer).or_else(|| pod.pointer(pointer));
    for (pointer, wanted) in restricted() {
        if setting(pointer) != Some(&wanted) {
            report(format!("securityContext{pointer} is not {wanted}"));
        }
    }
    let user = setting("/runAsUser").and_then(Value::as_u64);
    if user.is_none_or(|user| user == 0) {
        report("runs as root, or as whom the image says".to_owned());
    }
    for pointer in [
        "/requests/cpu",
        "/requests/memory",
        "/limits/cpu",
        "/limits/memory",
    ] {
        if container["resources"].pointer(pointer).is_none() {
            report(format!("says nothing of resources{pointer}"));
        }
    }
    let image = container["image"].as_str().unwrap_or_default();
    if !is_ours(image) && !is_pinned(image) {
        report(format!("the image {image:?} has no digest"));
    }
}

/// `spike/NAME` in the base; an overlay gives it a registry and a tag.
fn is_ours(image: &str) -> bool {
    image.starts_with("spike/")
        || image.contains("/spike/")
        || image.starts_with("spike-registry.local/")
}

fn is_pinned(image: &str) -> bool {
    image.split_once("@sha256:").is_some_and(|(_, digest)| {
        digest.len() == 64 && digest.chars().all(|it| it.is_ascii_hexdigit())
    })
}
