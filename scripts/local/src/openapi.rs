//! The document of the whole API, made from the functions' own.

use serde_json::Value;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use crate::functions;

const DESCRIPTION: &str = "\
Flash sales without overselling. Get an access token (`/users`, `/users/login`), look at a spike, get a path token \
when it opens, place the order with it, and poll the order's `Location`.

Every answer that is not a success is a problem document (RFC 9457): branch on its `code`. 425, 429 and 503 say in \
`Retry-After` when to come back, and repeating a request is safe. If a purchase got no answer, read \
`/spikes/{spike_id}/order` first: while your order lives, every further purchase answers with it. After a loss of data \
in the stock, an order that is still queued is invisible until it is written; a second try may then get another order id, \
and one of the two ends as `rejected` with the reason `limit`.";

/// The documents of all functions as one.
#[must_use]
pub fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Spike")
        .version("1")
        .description(Some(DESCRIPTION));
    let mut all = OpenApiBuilder::new().info(info).build();
    for (_, document) in functions::documents() {
        all.merge(document);
    }
    all
}

/// [`document`] in JSON, as `web` serves it: the same text for the same code.
pub fn text() -> anyhow::Result<String> {
    let sorted = sorted(serde_json::to_value(document())?);
    let mut text = serde_json::to_string_pretty(&sorted)?;
    text.push('\n');
    Ok(text)
}

/// Members in the order of their names. Their order otherwise depends on which crates are built together, as one may
/// turn on `serde_json`'s feature `preserve_order` for all.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            let members = members
                .into_iter()
                .map(|(name, value)| (name, sorted(value)));
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_served_document_is_fresh() {
        let served = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../functions/web/assets/openapi.json"
        );
        let served: Value =
            serde_json::from_str(&std::fs::read_to_string(served).unwrap()).unwrap();
        let fresh: Value = serde_json::from_str(&text().unwrap()).unwrap();
        let how = "stale: cargo run -p local -- openapi > functions/web/assets/openapi.json";
        assert!(served == fresh, "{how}");
    }

    #[test]
    fn no_two_functions_mean_different_things_by_one_name() {
        let mut schemas = BTreeMap::new();
        let mut operations = BTreeMap::new();
        for (function, document) in functions::documents() {
            let document = serde_json::to_value(document).unwrap();
            for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
                let known = schemas
                    .entry(name.clone())
                    .or_insert_with(|| schema.clone());
                assert_eq!(known, schema, "{name} of {function}");
            }
            for (path, item) in document["paths"].as_object().unwrap() {
                for (method, operation) in item.as_object().unwrap() {
                    let id = operation["operationId"].to_string();
                    let other = operations.insert(id.clone(), function);
                    assert_eq!(other, None, "{id} is also {method} {path} of {function}");
                }
            }
        }
    }
}
