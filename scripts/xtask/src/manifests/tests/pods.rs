//! The rules about rights: on the node, with the API server, and in the project.

use super::{SPIKE, finds};

#[test]
fn a_pod_with_rights_on_its_node_is_found() {
    for (good, bad, expected) in [
        (
            "runAsNonRoot: true",
            "runAsNonRoot: false",
            "/runAsNonRoot is not true",
        ),
        ("runAsUser: 65532", "runAsUser: 0", "runs as root"),
        (
            "readOnlyRootFilesystem: true",
            "readOnlyRootFilesystem: false",
            "/readOnlyRootFilesystem",
        ),
        (
            "allowPrivilegeEscalation: false",
            "allowPrivilegeEscalation: true",
            "/allowPrivilege",
        ),
        ("drop: [ALL]", "drop: [NET_RAW]", "/capabilities is not"),
        (
            "type: RuntimeDefault",
            "type: Unconfined",
            "/seccompProfile is not",
        ),
        (
            "limits: { cpu: \"1\", ",
            "limits: { ",
            "says nothing of resources/limits/cpu",
        ),
    ] {
        finds(SPIKE, good, bad, expected);
    }
    let (file, good) = (
        "knative/base/gateway/gateway.yaml",
        "readOnlyRootFilesystem: true",
    );
    finds(
        file,
        good,
        "readOnlyRootFilesystem: false",
        "Deployment/gateway",
    );
}

#[test]
fn a_token_where_none_is_needed_and_none_where_one_is_are_found() {
    let bad = "automountServiceAccountToken: true";
    finds(
        SPIKE,
        "automountServiceAccountToken: false",
        bad,
        "mounts a token",
    );
    finds(
        "knative/base/services/prewarm.yaml",
        "      enableServiceLinks: false\n",
        "      enableServiceLinks: false\n      automountServiceAccountToken: true\n",
        "says itself",
    );
    finds(
        "knative/base/policies/prewarm.yaml",
        bad,
        "automountServiceAccountToken: false",
        "lacks the one that is needed",
    );
    finds(
        "knative/base/policies/accounts.yaml",
        "automountServiceAccountToken: false",
        bad,
        "that nobody needs",
    );
    finds(
        SPIKE,
        "serviceAccountName: functions",
        "serviceAccountName: default",
        "no account of ours",
    );
}

#[test]
fn an_image_of_others_without_a_digest_is_found() {
    finds(
        "knative/middleware/redis.yaml",
        "@sha256:",
        "@sha256:0",
        "has no digest",
    );
}

#[test]
fn a_right_that_is_not_prewarms_is_found() {
    let file = "knative/base/policies/prewarm.yaml";
    finds(
        file,
        "verbs: [get,",
        "verbs: [delete, get,",
        "and nothing else",
    );
    finds(
        file,
        "resourceNames: [spike,",
        "resourceNames: [keys, spike,",
        "and nothing else",
    );
    finds(
        file,
        "{ kind: ServiceAccount, name: prewarm }",
        "{ kind: ServiceAccount, name: functions }",
        "binds something else",
    );
    finds(
        file,
        "kind: Role\n",
        "kind: ClusterRole\n",
        "rights to the whole cluster",
    );
    finds(
        file,
        "kind: Role\n",
        "kind: ClusterRole\n",
        "there are 0 Roles",
    );
}

#[test]
fn a_committed_secret_is_found() {
    let file = "knative/base/policies/accounts.yaml";
    finds(
        file,
        "kind: ServiceAccount\n",
        "kind: Secret\n",
        "never committed",
    );
}
