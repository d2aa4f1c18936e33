//! The manifests as they are pass; each rule finds the one thing that a test breaks in a copy of them.

mod pods;
mod routes;

use std::path::Path;

use tempfile::TempDir;

use super::{
    documents::{entries, read},
    *,
};

/// The parts of the project that the rules look at.
const PARTS: [&str; 6] = [
    "knative",
    "functions",
    "docs/samples",
    "shared/runtime/src/problem",
    "scripts/k3s-up",
    "scripts/migrate",
];

fn project() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
        return;
    }
    for entry in entries(from).unwrap() {
        copy(&entry, &to.join(entry.file_name().unwrap()));
    }
}

/// A copy of the project in whose `file` the text `good` is `bad`.
fn broken(file: &str, good: &str, bad: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for part in PARTS {
        copy(&project().join(part), &root.path().join(part));
    }
    let path = root.path().join(file);
    let text = read(&path).unwrap();
    assert!(text.contains(good), "{file} has no {good:?} to break");
    std::fs::write(&path, text.replacen(good, bad, 1)).unwrap();
    root
}

/// What is broken is found in the manifests as they are written.
#[track_caller]
fn finds(file: &str, good: &str, bad: &str, expected: &str) {
    let root = broken(file, good, bad);
    let functions = code::functions(root.path()).unwrap();
    contains(as_written(root.path(), &functions).unwrap(), expected);
}

#[track_caller]
fn contains(problems: Vec<Problem>, expected: &str) {
    let found = violations(problems);
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    let any = found.iter().any(|it| it.contains(expected));
    assert!(any, "{expected:?} is not among {found:#?}");
}

const SPIKE: &str = "knative/base/services/spike.yaml";

#[test]
fn the_manifests_say_what_the_code_says() {
    let violations = check(&project()).unwrap();
    assert_eq!(violations, []);
}

#[test]
fn a_service_without_a_function_and_a_function_without_a_service_are_found() {
    let (good, bad) = ("  name: spike\n", "  name: spikes\n");
    finds(SPIKE, good, bad, "there is no such function");
    finds(SPIKE, good, bad, "spike: has 0 Knative Services, not 1");
}

#[test]
fn a_service_that_the_base_does_not_list_is_found() {
    let base = "knative/base/kustomization.yaml";
    finds(
        base,
        "  - services/keys.yaml\n",
        "",
        "services/keys.yaml is missing",
    );
}

#[test]
fn an_image_that_an_overlay_does_not_name_is_found() {
    let overlay = "knative/overlays/k3s/kustomization.yaml";
    finds(
        overlay,
        "name: spike/keys,",
        "name: spike/key,",
        "keys is missing",
    );
}

#[test]
fn a_container_or_image_of_another_name_is_found() {
    finds(
        SPIKE,
        "image: spike/spike\n",
        "image: spike/web\n",
        r#"are called ["spike", "web"]"#,
    );
}

#[test]
fn environment_that_is_missing_or_unknown_is_found() {
    let expected = "STOCK_URL is not set, and the function does not start without";
    finds(SPIKE, "name: STOCK_URL", "name: REDIS_URL", expected);
    let expected = "REDIS_URL is set, and the function does not read it";
    finds(SPIKE, "name: STOCK_URL", "name: REDIS_URL", expected);
    let expected = "ISSUER is neither set nor left out on purpose";
    finds(SPIKE, "name: ISSUER", "name: STORE_URL", expected);
}

#[test]
fn environment_that_the_job_lacks_is_found() {
    let (file, good) = ("knative/base/migrate.yaml", "name: ADMIN_USERNAME");
    let expected = "ADMIN_USERNAME is not set, and the function does not start without";
    finds(file, good, "name: ADMIN_NAME", expected);
    finds(
        file,
        "  name: migrate\n",
        "  name: migration\n",
        "no Job of this name",
    );
}

#[test]
fn environment_that_only_the_code_has_is_found() {
    let (good, bad) = ("env::url(\"STOCK_URL\")", "env::url(\"NEW_URL\")");
    finds(
        "functions/spike/src/main.rs",
        good,
        bad,
        "NEW_URL is not set",
    );
}

#[test]
fn a_function_that_is_public_is_found() {
    let (good, bad) = ("visibility: cluster-local", "visibility: public");
    finds(SPIKE, good, bad, "can be reached from outside");
}

#[test]
fn a_function_that_does_not_scale_as_it_should_is_found() {
    finds(
        SPIKE,
        "min-scale: \"0\"",
        "min-scale: \"1\"",
        "does not scale to zero",
    );
    finds(
        SPIKE,
        "max-scale: \"20\"",
        "max-scale: \"0\"",
        "no highest number",
    );
    let bad = "target-burst-capacity: \"200\"";
    finds(
        SPIKE,
        "target-burst-capacity: \"-1\"",
        bad,
        "does not keep the activator",
    );
    let sweeper = "knative/base/services/sweeper.yaml";
    finds(
        sweeper,
        "max-scale: \"1\"",
        "max-scale: \"2\"",
        "more than one instance",
    );
}

#[test]
fn a_wrong_probe_is_found() {
    finds(
        SPIKE,
        "path: /health/ready",
        "path: /",
        "the readinessProbe does not ask",
    );
}

#[test]
fn other_tunables_than_the_sample_are_found() {
    let file = "knative/base/tunables.toml";
    finds(
        file,
        "bucket_burst = 2",
        "bucket_burst = 3",
        "differs from docs/samples",
    );
}

#[test]
fn a_plan_that_the_script_does_not_print_is_found() {
    finds(
        "knative/k3s-up.plan",
        "k3s",
        "k4s",
        "is not what scripts/k3s-up --plan prints",
    );
}

#[test]
fn an_overlay_that_breaks_what_the_base_has_is_found() {
    let file = "knative/components/capacity/kustomization.yaml";
    let root = broken(file, "value: \"100\"", "value: many");
    let knative = root.path().join("knative");
    let functions = code::functions(root.path()).unwrap();
    let found = overlays::check(&knative, &functions).unwrap();
    contains(
        found,
        "Service/spike in overlays/production: has no highest number",
    );
}

#[test]
fn an_overlay_that_cannot_be_built_is_found() {
    let file = "knative/overlays/k3s/kustomization.yaml";
    let root = broken(file, "- path: network.yaml", "- path: nothing.yaml");
    let knative = root.path().join("knative");
    let functions = code::functions(root.path()).unwrap();
    let found = overlays::check(&knative, &functions).unwrap();
    contains(found, "overlays/k3s: cannot be built");
}
