//! No text whatever makes a rule panic, or take its time.

use cel::{common::ast::IdedExpr, parser::Parser};
use domain::{Rule, UserId};
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
        put_through(&source, &text);
    }

    #[test]
    fn fault_29_a_rule_of_the_corpus_with_strange_neighbours_does_not_panic(one in rules(), part in parts(), other in rules()) {
        put_through(&format!("{one}{part}{other}"), &one);
        put_through(&format!("({one}) && ({other})"), &part);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_rule_that_the_librarys_first_parser_reads_means_the_same(one in rules(), part in parts(), other in rules()) {
        for source in [&one, &part, &format!("{one}{part}{other}"), &format!("({one}) && ({other})")] {
            if crate::scan::check(source).is_ok() && let Ok(first) = Parser::new().parse(source) {
                let ours = parse::parser().parse(source).map(|it| without_ids(&it));
                prop_assert_eq!(ours.ok(), Some(without_ids(&first)), "{}", source);
            }
        }
    }
}

/// The expression as text; each parser counts its parts in its own way.
fn without_ids(expression: &IdedExpr) -> String {
    let text = format!("{expression:?}");
    let mut parts = text.split("id: ");
    let mut rest = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        rest += part.trim_start_matches(|it: char| it.is_ascii_digit());
    }
    rest
}

/// Straight to the parser: `Filter::compile` would hide a panic.
fn put_through(source: &str, text: &str) {
    let (mut budget, mut patterns) = (cost::Budget::new(), Patterns::default());
    let Ok(expression) = parse::rule(source, &mut budget, &mut patterns) else {
        return;
    };
    let spike = spike();
    let list = json!([text, 1, { "a": true }, null, -1.5, [text]]);
    for a in [
        list,
        json!(text),
        json!({ "b": { "c": [] } }),
        json!(i64::MIN),
        json!(u64::MAX),
    ] {
        let attributes: Map<String, Value> = [("a".to_owned(), a), ("t".to_owned(), json!(text))]
            .into_iter()
            .collect();
        let facts = Facts {
            user_id: UserId::mint(spike.created_at, [9; 10]),
            attributes: &attributes,
            spike: &spike,
            now: spike.created_at,
        };
        let compiled = Compiled {
            name: String::new(),
            reason: String::new(),
            expression: expression.clone(),
        };
        let _ = compiled.holds(&facts.context(&patterns));
    }
}

/// The rules that somebody has thought of, one JSON string a line.
fn corpus() -> Vec<String> {
    let lines = include_str!("../../corpus/rules.jsonl").lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn rules() -> impl Strategy<Value = String> {
    prop::sample::select(corpus())
}

#[test]
fn fault_29_no_rule_of_the_corpus_panics_or_quotes_itself() {
    for source in corpus() {
        put_through(&source, "a");
        put_through(&source, &"\u{130}".repeat(1000));
        let rules = [Rule {
            name: "corpus".to_owned(),
            allow_if: source.clone(),
            reason: "No.".to_owned(),
        }];
        if let Err(bad) = crate::Filter::compile(&rules) {
            assert_eq!(bad.name, "corpus");
            assert!(bad.problem.len() < 100, "{source}: {}", bad.problem);
            assert!(
                source.len() < 12 || !bad.problem.contains(&source),
                "{source}"
            );
        }
    }
}
