//! Whether JSON is what a schema of the `OpenAPI` document says.
//!
//! Stricter than JSON Schema in one thing: an object that lists its properties has no others, so that an answer cannot
//! say more than the document. A keyword that is not known here is an error, lest it be overlooked.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keywords that only explain. Patterns and formats are checked where values are read.
const EXPLAINING: [&str; 8] = [
    "description",
    "example",
    "examples",
    "format",
    "default",
    "title",
    "pattern",
    "deprecated",
];

/// Checks `value` against `schema`, whose references are looked up in `document`.
pub fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let checker = Checker { document };
    checker.check(schema, value, "$")?;
    checker.check_members(schema, value, "$")
}

struct Checker<'a> {
    document: &'a Value,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let Value::Object(keywords) = schema else {
            return Err(format!("{at}: {schema} is no schema"));
        };
        for (keyword, argument) in keywords {
            self.keyword(keywords, keyword, argument, value, at)?;
        }
        Ok(())
    }

    fn keyword(
        &self,
        keywords: &Map<String, Value>,
        keyword: &str,
        argument: &Value,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let holds = match keyword {
            "$ref" => return self.check(self.resolve(argument)?, value, at),
            "allOf" => {
                let mut parts = array(argument).iter();
                return parts.try_for_each(|part| self.check(part, value, at));
            }
            "oneOf" | "anyOf" => {
                let fits = |part: &&Value| {
                    self.check(part, value, at).is_ok()
                        && self.check_members(part, value, at).is_ok()
                };
                let fitting = array(argument).iter().filter(fits).count();
                fitting == 1 || (keyword == "anyOf" && fitting > 1)
            }
            "type" => match argument {
                Value::Array(names) => names.iter().any(|name| is_a(name, value)),
                name => is_a(name, value),
            },
            "enum" => array(argument).contains(value),
            "const" => argument == value,
            "required" => array(argument).iter().all(|name| {
                let name = name.as_str().unwrap_or_default();
                value.as_object().is_none_or(|it| it.contains_key(name))
            }),
            "minimum" => number(value).is_none_or(|it| Some(it) >= argument.as_f64()),
            "maximum" => number(value).is_none_or(|it| Some(it) <= argument.as_f64()),
            "minLength" => length(value).is_none_or(|it| Some(it) >= argument.as_u64()),
            "maxLength" => length(value).is_none_or(|it| Some(it) <= argument.as_u64()),
            "maxItems" => value
                .as_array()
                .is_none_or(|it| Some(it.len() as u64) <= argument.as_u64()),
            "items" => return self.items(argument, value, at),
            "properties" => return self.properties(argument, value, at),
            "additionalProperties" => return self.additional(keywords, argument, value, at),
            other => EXPLAINING.contains(&other),
        };
        if holds {
            Ok(())
        } else {
            Err(format!("{at}: {value} breaks {keyword}: {argument}"))
        }
    }

    fn items(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        for (index, item) in array(value).iter().enumerate() {
            let at = format!("{at}[{index}]");
            self.check(schema, item, &at)?;
            self.check_members(schema, item, &at)?;
        }
        Ok(())
    }

    fn properties(&self, schemas: &Value, value: &Value, at: &str) -> Result<(), String> {
        for (name, schema) in schemas.as_object().into_iter().flatten() {
            if let Some(member) = value.get(name) {
                let at = format!("{at}.{name}");
                self.check(schema, member, &at)?;
                self.check_members(schema, member, &at)?;
            }
        }
        Ok(())
    }

    fn additional(
        &self,
        keywords: &Map<String, Value>,
        schema: &Value,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        if schema.is_boolean() {
            return Ok(()); // [`Self::check_members`] looks at what is left out.
        }
        let known = keywords.get("properties").and_then(Value::as_object);
        for (name, member) in value.as_object().into_iter().flatten() {
            if !known.is_some_and(|known| known.contains_key(name)) {
                self.check(schema, member, &format!("{at}.{name}"))?;
            }
        }
        Ok(())
    }

    /// No member of an object is unknown to its schema.
    fn check_members(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let Some(members) = value.as_object() else {
            return Ok(());
        };
        let mut known = BTreeSet::new();
        if !self.known(schema, &mut known)? {
            return Ok(());
        }
        let stranger = members.keys().find(|name| !known.contains(*name));
        stranger.map_or(Ok(()), |name| {
            Err(format!("{at}: {name} is not in the schema"))
        })
    }

    /// Collects the members that a schema names; false if it leaves them open.
    fn known(&self, schema: &Value, names: &mut BTreeSet<String>) -> Result<bool, String> {
        if let Some(reference) = schema.get("$ref") {
            return self.known(self.resolve(reference)?, names);
        }
        let mut closed = false;
        for keyword in ["allOf", "oneOf", "anyOf"] {
            for part in schema.get(keyword).map(array).unwrap_or_default() {
                closed |= self.known(part, names)?;
            }
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            names.extend(properties.keys().cloned());
            closed = true;
        }
        let open = schema.get("additionalProperties");
        Ok(closed && open.is_none_or(|open| open == &Value::Bool(false)))
    }

    fn resolve(&self, reference: &Value) -> Result<&Value, String> {
        let pointer = reference.as_str().and_then(|it| it.strip_prefix('#'));
        let found = pointer.and_then(|pointer| self.document.pointer(pointer));
        found.ok_or_else(|| format!("{reference} leads nowhere"))
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

fn is_a(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({"schemas": {
            "Id": {"type": "string", "format": "uuid"},
            "Order": {
                "type": "object",
                "required": ["id", "units"],
                "properties": {
                    "id": {"$ref": "#/schemas/Id", "description": "The order."},
                    "units": {"type": "array", "items": {"type": "integer", "minimum": 1}},
                    "reason": {"oneOf": [{"$ref": "#/schemas/Id"}, {"type": "null"}]},
                },
            },
            "Owned": {"allOf": [
                {"$ref": "#/schemas/Order"},
                {"type": "object", "required": ["owner"], "properties": {"owner": {"type": "string"}}},
            ]},
            "Open": {"type": "object", "properties": {"code": {"enum": ["a"]}}, "additionalProperties": true},
        }})
    }

    fn fits(schema: &str, value: &Value) -> bool {
        let document = document();
        let schema = json!({ "$ref": format!("#/schemas/{schema}") });
        check(&document, &schema, value).is_ok()
    }

    #[test]
    fn what_a_schema_says_is_checked_and_what_it_does_not_say_is_refused() {
        let order = json!({"id": "x", "units": [1, 2], "reason": null});
        assert!(fits("Order", &order));
        let wrong = [
            json!({"id": "x"}),
            json!({"id": 1, "units": []}),
            json!({"id": "x", "units": [0]}),
            json!({"id": "x", "units": ["1"]}),
            json!({"id": "x", "units": [], "reason": 7}),
            json!({"id": "x", "units": [], "stranger": 7}),
            json!([]),
        ];
        for value in wrong {
            assert!(!fits("Order", &value), "{value}");
        }
    }

    #[test]
    fn parts_of_one_object_know_each_others_members() {
        assert!(fits(
            "Owned",
            &json!({"id": "x", "units": [], "owner": "ada"})
        ));
        assert!(!fits("Owned", &json!({"id": "x", "units": []})));
        assert!(!fits(
            "Owned",
            &json!({"id": "x", "units": [], "owner": "ada", "more": 1})
        ));
    }

    #[test]
    fn an_open_object_may_say_more() {
        assert!(fits("Open", &json!({"code": "a", "left": 1})));
        assert!(!fits("Open", &json!({"code": "b"})));
    }

    #[test]
    fn an_unknown_keyword_is_not_overlooked() {
        let schema = json!({"type": "string", "contentEncoding": "base64"});
        assert!(check(&json!({}), &schema, &json!("x")).is_err());
        assert!(check(&json!({}), &json!({"$ref": "#/no"}), &json!("x")).is_err());
    }
}
