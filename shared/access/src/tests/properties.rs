//! No text whatever makes a rule panic.

use domain::UserId;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::spike;
use crate::{Compiled, Facts, cost, parse, patterns::Patterns};

fn parts() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "user",
        ".attributes",
        ".a",
        "spike.name",
        "now",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "1",
        "-",
        "!",
        "'x'",
        "\"",
        "'''",
        "r'",
        "b\"",
        "\\",
        "?",
        ":",
        ",",
        "+",
        "==",
        "<",
        " in ",
        "&&",
        "||",
        ".map(x,",
        ".all(x, x",
        ".matches('",
        "has(",
        "size(",
        "x",
        "//",
        "\n",
        "0x",
        "1e9",
        "@result",
        "`a`",
        "é",
        "9223372036854775808",
        "u",
        ".?a",
        "timestamp(",
        "%",
    ]);
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn fault_29_no_rule_panics(source in prop_oneof![parts(), any::<String>()], text in any::<String>()) {
        let mut budget = cost::Budget::new();
        let mut patterns = Patterns::default();
        // Straight to the parser: `Filter::compile` would hide a panic.
        if let Ok(expression) = parse::rule(&source, &mut budget, &mut patterns) {
            let spike = spike();
            let attributes: Map<String, Value> = [("a".to_owned(), json!([text, 1, { "a": true }]))].into_iter().collect();
            let user_id = UserId::mint(spike.created_at, [9; 10]);
            let facts = Facts { user_id, attributes: &attributes, spike: &spike, now: spike.created_at };
            let compiled = Compiled { name: String::new(), reason: String::new(), expression };
            let _ = compiled.holds(&facts.context(&patterns));
        }
    }
}
