use domain::{Rule, Spike, SpikeId, Timestamp, UserId, Verdict};
use serde_json::{Value, json};

use super::*;

mod properties;

fn rule(allow_if: &str) -> Rule {
    Rule {
        name: "the rule".into(),
        allow_if: allow_if.into(),
        reason: "No.".into(),
    }
}

fn compiled(allow_if: &str) -> Filter {
    Filter::compile(&[rule(allow_if)]).unwrap_or_else(|bad| panic!("{allow_if}: {bad}"))
}

fn problem(allow_if: &str) -> String {
    let bad = Filter::compile(&[rule("true"), rule(allow_if)]).expect_err(allow_if);
    assert_eq!(bad.name, "the rule");
    bad.problem
}

fn spike() -> Spike {
    let settings = json!({
        "name": "Shoes", "stock": 3, "price": { "amount_minor": 100, "currency": "EUR" },
        "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-01T01:00:00Z",
    });
    let now = Timestamp::from_millis(1_767_225_600_000);
    Spike::new(
        SpikeId::mint(now, [7; 10]),
        serde_json::from_value(settings).unwrap(),
        now,
    )
}

fn verdict(filter: &Filter, attributes: &Value) -> Verdict {
    let spike = spike();
    let user_id = UserId::mint(spike.created_at, [9; 10]);
    filter.verdict(&Facts {
        user_id,
        attributes: attributes.as_object().unwrap(),
        spike: &spike,
        now: spike.created_at,
    })
}

fn allows(allow_if: &str, attributes: &Value) -> bool {
    verdict(&compiled(allow_if), attributes) == Verdict::Allowed
}

#[test]
fn rules_see_the_user_the_spike_and_the_time() {
    let user = json!({ "age": 20, "rate": 1.5, "groups": ["a", "b"], "since": "2025-06-01T00:00:00Z", "email": "ada@example.com" });
    let id = UserId::mint(spike().created_at, [9; 10]);
    let id_rule = format!("user.id == '{id}'");
    for allow_if in [
        id_rule.as_str(),
        "user.attributes.age >= 18 && user.attributes.age + 1 == 21",
        "user.attributes.rate > 1",
        "'a' in user.attributes.groups && !('c' in user.attributes.groups)",
        "user.attributes.groups.exists(g, g.startsWith('b'))",
        "user.attributes.groups.all(g, g in ['a', 'b', 'c'])",
        "user.attributes.groups.filter(g, g != 'a').map(g, g + 'x') == ['bx']",
        "user.attributes['groups'][0] == 'a'",
        "now - timestamp(user.attributes.since) > duration('720h')",
        "spike.starts_at == now && spike.ends_at - now == duration('1h')",
        "spike.name == 'Shoes' && spike.stock == 3 && spike.limit_per_user == 1",
        "spike.price.amount_minor < 500 && spike.price.currency == 'EUR'",
        "size(spike.id) == 36",
        "user.attributes.email.matches('^[a-z]+@example[.]com$')",
        "matches(user.attributes.email, '@example')",
        "has(user.attributes.age) && !has(user.attributes.income)",
        "type(user.attributes.age) == int",
        "now.getFullYear() == 2026",
        "true",
    ] {
        assert!(allows(allow_if, &user), "{allow_if}");
    }
}

#[test]
fn all_rules_must_hold_and_the_first_that_does_not_gives_the_reason() {
    let with_reason = |allow_if: &str, reason: &str| Rule {
        reason: reason.into(),
        ..rule(allow_if)
    };
    let rules = [
        rule("true"),
        with_reason("user.attributes.age > 18", "Age."),
        with_reason("false", "Never."),
    ];
    let filter = Filter::compile(&rules).unwrap();
    assert_eq!(
        verdict(&filter, &json!({ "age": 20 })),
        Verdict::Denied("Never.".into())
    );
    assert_eq!(
        verdict(&filter, &json!({ "age": 2 })),
        Verdict::Denied("Age.".into())
    );
    assert_eq!(
        verdict(&Filter::compile(&[]).unwrap(), &json!({})),
        Verdict::Allowed
    );
}

#[tokio::test]
async fn the_async_form_compiles_the_same() {
    assert_eq!(
        verdict(&compile(&[rule("true")]).await.unwrap(), &json!({})),
        Verdict::Allowed
    );
    assert_eq!(
        compile(&[rule("1 +")]).await.unwrap_err(),
        Filter::compile(&[rule("1 +")]).unwrap_err()
    );
}

#[test]
fn fault_29_a_rule_that_fails_at_run_time_denies() {
    for allow_if in [
        "user.attributes.age >= 18",
        "user.attributes.name > 1",
        "user.attributes.zero / user.attributes.zero == 1",
        "user.attributes.list[7] == 1",
        "9223372036854775807 + user.attributes.one > 0",
        "user.attributes.name",
        "user.attributes.one",
        "null",
        "user.attributes.list",
        "timestamp(user.attributes.name) < now",
        "duration(user.attributes.name) == duration('1s')",
        "user.attributes.list.matches('a')",
        "matches('a')",
        "user.attributes.name.all(x, true)",
        "spike.price.cents == 100",
        "{'a': 1}[user.attributes.name] == 1",
        "now + duration('9999999h') > now",
    ] {
        match Filter::compile(&[rule(allow_if)]) {
            Ok(filter) => {
                let user = json!({ "name": "x", "zero": 0, "one": 1, "list": [1] });
                assert_eq!(
                    verdict(&filter, &user),
                    Verdict::Denied("No.".into()),
                    "{allow_if}"
                );
            }
            Err(bad) => assert_eq!(bad.problem, "does not yield true or false", "{allow_if}"),
        }
    }
}

/// The one thing that the library's first parser reads and the second does not (ADR 38). Once it does, it may.
#[test]
fn the_smallest_integer_is_written_in_decimal() {
    assert!(allows("-9223372036854775808 < 0", &json!({})));
    assert!(problem("-0x8000000000000000 < 0").contains("not a CEL expression"));
}

#[test]
fn fault_29_attributes_beyond_the_bounds_are_not_evaluated() {
    let filter = compiled("true");
    assert_eq!(
        verdict(&filter, &json!({ "a": "x".repeat(5000) })),
        Verdict::Denied("No.".into())
    );
    assert_eq!(
        verdict(&filter, &json!({ "a": [[[[1]]]] })),
        Verdict::Denied("No.".into())
    );
}

#[test]
fn fault_29_rule_bombs_are_refused_when_saved() {
    let deep = |open: &str, close: &str, times: usize| {
        format!("{}1{}", open.repeat(times), close.repeat(times))
    };
    let bombs = [
        "[".repeat(125),
        "{".repeat(125),
        "(".repeat(125),
        "[1].map(x,".repeat(12),
        "a?".repeat(62),
        "-(".repeat(62),
        "'".repeat(125),
        "!\\".repeat(60),
        deep("(", ")", 200),
        deep("[", "]", 200),
        deep("size(", ")", 200),
        deep("!(", ")", 25),
        format!("{}true", "true ? ".repeat(200)),
        vec!["1"; 60].join(" + "),
        format!("{} == 1", vec!["user"; 60].join(".")),
        " ".repeat(1 << 20),
        "true ||".repeat(1 << 17),
        format!("[{}] == []", vec!["1"; 1000].join(",")),
        "user.attributes.l.map(a, user.attributes.l.map(b, user.attributes.l.map(c, a))) == []"
            .into(),
        "user.attributes.l.filter(a, user.attributes.l.filter(b, a == b) == []) == []".into(),
        "user.attributes.l.exists(a, user.attributes.l.exists(b, a == b))".into(),
        "user.attributes.l.map(a, user.attributes.l) == []".into(),
        "[1,2].map(a, [1,2].map(b, [1,2].map(c, [1,2].map(d, a)))) == []".into(),
        "user.attributes.t.matches('(((((a*)*)*)*)*)*$' + user.attributes.p)".into(),
        "user.attributes.t.matches(user.attributes.p)".into(),
        "user.attributes.t.matches('(x{100}){100}')".into(),
        "user.attributes.t.matches('a{1000}')".into(),
        "user.attributes.t.matches('(')".into(),
        format!(
            "user.attributes.t.matches('{}')",
            "(".repeat(40) + &")".repeat(40)
        ),
        format!("user.attributes.t.matches('{}')", "a".repeat(129)),
    ];
    for bomb in bombs {
        let problem = problem(&bomb);
        assert!(problem.len() < 100, "{problem}");
    }
}

#[test]
fn fault_29_a_nested_pattern_runs_in_linear_time() {
    let filter = compiled("user.attributes.t.matches('^(a*)*(a|aa)+$')");
    assert_eq!(
        verdict(&filter, &json!({ "t": "a".repeat(4000) + "b" })),
        Verdict::Denied("No.".into())
    );
    assert_eq!(
        verdict(&filter, &json!({ "t": "a".repeat(4000) })),
        Verdict::Allowed
    );
}

#[test]
fn fault_29_all_rules_of_a_spike_share_one_budget() {
    let dear = rule("user.attributes.l.exists(x, x.matches('a{1,9}'))");
    assert!(Filter::compile(std::slice::from_ref(&dear)).is_ok());
    let bad = Filter::compile(&vec![dear; 16]).unwrap_err();
    assert!(bad.problem.contains("too long"), "{}", bad.problem);
}

#[test]
fn ordinary_loops_are_within_the_budget() {
    for allow_if in [
        "user.attributes.emails.exists(e, e.endsWith('@example.com'))",
        "user.attributes.groups.exists(g, ['gold', 'silver', 'staff-', 'beta'].exists(p, g.startsWith(p)))",
        "user.attributes.orders.filter(o, o.state == 'unpaid' && o.amount > 100).size() < 3",
        "user.attributes.groups.exists(g, g == user.attributes.team)",
        "user.attributes.codes.all(c, c.matches('^[A-Z]{3}-[0-9]{4}$'))",
    ] {
        compiled(allow_if);
    }
}

#[test]
fn fault_28_names_and_functions_that_are_not_offered_are_refused() {
    let cases = [
        ("users.attributes.age > 1", "a name that is not known"),
        ("user.role == 'admin'", "a name that is not known"),
        ("spike.secret == 1", "a name that is not known"),
        ("[1].all(y, x == 1)", "a name that is not known"),
        (".env == 1", "a name that is not known"),
        ("optional.of(1).hasValue()", "a name that is not known"),
        ("system('id') == 0", "a function that is not allowed"),
        (
            "user.attributes.a.load('x')",
            "a function that is not allowed",
        ),
        ("google.protobuf.Int32Value{value: 1} == 1", "a message"),
        ("user.?id == 1", "not a CEL expression"),
        ("true'; DROP TABLE spikes; --", "not a CEL expression"),
        ("true) || (true", "not a CEL expression"),
        ("true\r\nSet-Cookie: a=b", "not a CEL expression"),
        ("${7*7} == 49", "not a CEL expression"),
        ("{{7*7}}", "not a CEL expression"),
        ("../../etc/passwd", "not a CEL expression"),
        ("", "not a CEL expression"),
        ("'yes'", "does not yield"),
        ("[true]", "does not yield"),
    ];
    for (allow_if, expected) in cases {
        let problem = problem(allow_if);
        assert!(problem.contains(expected), "{allow_if}: {problem}");
        assert!(
            allow_if.len() < 3 || !problem.contains(allow_if),
            "{problem} quotes the rule"
        );
    }
}

#[test]
fn fault_28_what_a_user_wrote_is_data_to_a_rule() {
    let attack = "x' || true || '";
    assert!(!allows(
        "user.attributes.name == 'Ada'",
        &json!({ "name": attack })
    ));
    assert!(allows(
        "user.attributes.name == \"x' || true || '\"",
        &json!({ "name": attack })
    ));
}

#[test]
fn brackets_in_texts_and_comments_do_not_count() {
    let brackets = "(".repeat(100);
    assert!(!allows(
        &format!("user.attributes.n == '{brackets}'"),
        &json!({ "n": "a" })
    ));
    assert!(allows(
        &format!("r'\\' == '\\\\' && \"\"\"{brackets}\" \"\"\" != b'x' || true // {brackets}"),
        &json!({})
    ));
}

#[test]
fn the_deepest_rule_fits_an_ordinary_stack() {
    let filter = compiled(&format!(
        "{}user.attributes.a == 1{}",
        "!(".repeat(8),
        ")".repeat(8)
    ));
    let deep = compiled(&format!(
        "{} == 40",
        vec!["user.attributes.one"; 30].join(" + ")
    ));
    let run = move || {
        let user = json!({ "a": 1, "one": 1 });
        (verdict(&filter, &user), verdict(&deep, &user))
    };
    let small = std::thread::Builder::new()
        .stack_size(512 << 10)
        .spawn(run)
        .unwrap();
    assert_eq!(
        small.join().unwrap(),
        (Verdict::Allowed, Verdict::Denied("No.".into()))
    );
}

#[test]
fn the_sample_rules_load_and_mean_what_they_say() {
    let text = include_str!("../../../docs/samples/access-rules.json");
    let rules: Vec<Rule> = serde_json::from_str(text).unwrap();
    let filter = Filter::compile(&rules).unwrap();
    let cases = [
        (json!({ "age": 30, "work_status": "employed" }), None),
        (
            json!({ "age": 30, "work_status": "employed", "lists": ["newsletter"] }),
            None,
        ),
        (json!({ "age": 17, "work_status": "employed" }), Some(0)),
        (json!({ "work_status": "employed" }), Some(0)),
        (json!({ "age": 30, "work_status": "suspended" }), Some(1)),
        (json!({ "age": 30 }), Some(1)),
        (
            json!({ "age": 30, "work_status": "employed", "lists": ["defaulters"] }),
            Some(2),
        ),
    ];
    for (user, refused) in cases {
        let expected = refused.map_or(Verdict::Allowed, |at: usize| {
            Verdict::Denied(rules[at].reason.clone())
        });
        assert_eq!(verdict(&filter, &user), expected, "{user}");
    }
}
