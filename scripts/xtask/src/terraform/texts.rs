//! Texts that stand in the code and in the configuration: the audience of access tokens, the headers of pages.

use std::collections::BTreeMap;

use hcl::Block;

use super::{
    Finding,
    configuration::{Configuration, attribute},
    expression::{plain, texts},
};

/// Local values and the constants that they repeat.
const LOCALS: &[(&str, &str)] = &[
    ("page_cache_control", "CACHE_CONTROL"),
    ("page_content_security_policy", "CONTENT_SECURITY_POLICY"),
];

/// Finds texts that differ from the code's.
pub(super) fn check(
    configuration: &Configuration,
    code: &BTreeMap<String, String>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut compare = |at: String, here: Option<String>, constant: &str| {
        if here.as_ref() != code.get(constant) {
            found.push(Finding::new(at, format!("is not {constant} of the code")));
        }
    };
    for (local, constant) in LOCALS {
        let here = configuration.local(local).and_then(plain);
        compare(format!("local.{local}"), here, constant);
    }
    let resources = configuration
        .of_kind("resource")
        .flat_map(|it| it.body().blocks());
    for authorizer in resources.filter(|it| it.identifier() == "jwt_configuration") {
        compare(
            "jwt_configuration.audience".to_owned(),
            audience(authorizer),
            "AUDIENCE",
        );
    }
    found
}

/// The one audience.
fn audience(authorizer: &Block) -> Option<String> {
    let mut texts = attribute(authorizer, "audience").map(texts)?;
    let last = texts.pop();
    last.filter(|_| texts.is_empty())
}
