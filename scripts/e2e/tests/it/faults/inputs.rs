//! Bodies, names and rules that nobody should send.

use e2e::{
    client::{Answer, Call},
    document::Operation,
};
use serde_json::{Value, json};

use crate::{
    openapi::body_of,
    routes::Things,
    stage::{PASSWORD, Stage, new_name, settings, stage},
};

/// Stands in every bad input, and must not come back in an answer.
const MARK: &str = "echo-me-not";

/// What is wrong with a body, and the body.
fn bad_bodies(good: &Value) -> Vec<(&'static str, Vec<u8>)> {
    let text = good.to_string();
    let members = &text[1..text.len() - 1];
    let (name, value) = members.split_once(':').unwrap();
    let first = value.split(',').next().unwrap();
    let mut invalid = text.clone().into_bytes();
    invalid.truncate(invalid.len() - 1);
    invalid.extend_from_slice(b",\"x\":\"\xff\xfe\"}");
    vec![
        ("cut off", text.as_bytes()[..text.len() - 1].to_vec()),
        ("no JSON", format!("{MARK} {{").into_bytes()),
        ("two documents", format!("{text}{text}").into_bytes()),
        ("a list", format!("[{text}]").into_bytes()),
        ("invalid UTF-8", invalid),
        (
            "a doubled key",
            format!("{{{name}:{first},{members}}}").into_bytes(),
        ),
        (
            "an unknown field",
            format!("{{\"{MARK}\":1,{members}}}").into_bytes(),
        ),
        ("depth", "[".repeat(15_000).into_bytes()),
        ("deep objects", "{\"a\":".repeat(3_000).into_bytes()),
        (
            "a number too large",
            format!("{{{name}:1e999,{members}}}").into_bytes(),
        ),
        ("NaN", format!("{{{name}:NaN}}").into_bytes()),
        ("null", b"null".to_vec()),
        ("a byte order mark", format!("\u{feff}{text}").into_bytes()),
    ]
}

fn to(operation: &Operation<'_>, stage: &Stage, things: &Things) -> Call {
    let path = things.fill(operation.path);
    let call = Call::new(operation.method, path).if_match("\"1\"");
    if operation.path.starts_with("/admin") {
        call.bearer(&stage.admin.token)
    } else {
        call.bearer(&things.owner.token)
    }
}

fn check(answer: &Answer, what: &str) {
    assert_eq!(answer.outcome(), "400 malformed", "{what}");
    assert!(
        !String::from_utf8_lossy(&answer.body).contains(MARK),
        "{what}"
    );
}

#[tokio::test]
async fn fault_22_a_malformed_body_is_a_400_on_every_operation_that_takes_one() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let mut things = Things::new(&stage).await;
    let document = stage.client.document().unwrap().clone();
    let operations = document.operations().into_iter();
    for operation in operations.filter(|it| it.takes() == Some("application/json")) {
        let good = body_of(&operation).unwrap();
        for (name, body) in bad_bodies(&good) {
            let what = format!("{name}: {}", operation.key());
            let call = to(&operation, &stage, &things).body("application/json", body.clone());
            let mut answer = stage.send(call).await;
            if answer.outcome() == "429 slow-down" {
                // A buyer has five tries a second; somebody else has five more.
                things = Things::new(&stage).await;
                let call = to(&operation, &stage, &things).body("application/json", body);
                answer = stage.send(call).await;
            }
            check(&answer, &what);
        }
    }
    witness.finds_all_well().await;
}

#[tokio::test]
async fn fault_22_a_malformed_line_of_an_import_is_told_and_harms_no_other() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let good = json!({ "username": new_name() });
    let bad = bad_bodies(&json!({ "username": new_name() }));
    let mut body = Vec::new();
    for (_, line) in &bad {
        body.extend_from_slice(line);
        body.push(b'\n');
    }
    body.extend_from_slice(good.to_string().as_bytes());
    let call = Call::post("/admin/users/import").body("application/x-ndjson", body);
    let imported = stage.admin(call).await.expect("200");
    assert!(!String::from_utf8_lossy(&imported.body).contains(MARK));
    let imported = imported.json();
    assert_eq!(imported["failed_total"], bad.len(), "{imported}");
    assert_eq!(imported["created"], 1, "{imported}");
    witness.finds_all_well().await;
}

const INJECTIONS: [&str; 9] = [
    "' OR '1'='1' --",
    "'; DROP TABLE users; --",
    "x\r\nSet-Cookie: admin=1",
    "../../../../etc/passwd",
    "%2e%2e%2f%2e%2e%2fadmin",
    "true || user.id != ''",
    "{{7*7}}<script>alert(1)</script>",
    "spike:{x}:sale",
    "#retire|1|2\u{0}",
];

#[tokio::test]
async fn fault_28_injections_in_ids_and_names_are_refused() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let document = stage.client.document().unwrap().clone();
    let things = Things::new(&stage).await;
    for injection in INJECTIONS {
        let encoded = injection.bytes().map(|byte| format!("%{byte:02X}"));
        let encoded = encoded.collect::<Vec<_>>().concat();
        for operation in document.operations() {
            let ids = ["{spike_id}", "{order_id}", "{user_id}"];
            let Some(id) = ids.iter().find(|id| operation.path.contains(**id)) else {
                continue;
            };
            let path = things.fill(&operation.path.replace(id, &encoded));
            let call = Call::new(operation.method, path).bearer(&stage.admin.token);
            let answer = stage.send(call.if_match("\"1\"")).await;
            assert_eq!(
                answer.outcome(),
                "400 malformed",
                "{injection}: {}",
                operation.key()
            );
        }
        let account = json!({ "username": injection, "password": PASSWORD });
        for path in ["/users", "/users/login"] {
            let call = Call::post(path).json(&account);
            stage.send(call).await.expect("400 malformed");
        }
        let letter = Call::post(format!("/admin/dead-letters/{encoded}/redrive"));
        stage.admin(letter).await.expect("404 no-dead-letter");
        for list in ["orders", "admin/users", "admin/spikes", "admin/refunds"] {
            let call = Call::get(format!("/{list}?cursor={encoded}"));
            stage.admin(call).await.expect("400 malformed");
        }
    }
    witness.finds_all_well().await;
}

#[tokio::test]
async fn fault_28_injections_in_texts_are_kept_as_plain_text_or_refused() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let person = stage.person().await;
    for injection in INJECTIONS {
        let is_plain = !injection.chars().any(char::is_control);
        let made = Call::post("/admin/spikes").json(&settings(json!({ "name": injection })));
        let made = stage.admin(made).await;
        if is_plain {
            let spike = made.expect("201").text("spike_id");
            let (read, _) = stage.read_spike(&spike).await;
            assert_eq!(read["name"], injection);
        } else {
            made.expect("422 invalid-setting");
        }
        let path = format!("/admin/users/{}", person.user_id);
        let read = stage.admin(Call::get(&path)).await;
        let etag = read.header("etag").unwrap().to_owned();
        // Attributes are any JSON: what stands in a text there is data to rules, never a part of them.
        let change = json!({ "attributes": { "note": injection }, "roles": [] });
        let changed = Call::new("put", &path).if_match(&etag).json(&change);
        let changed = stage.admin(changed).await.expect("200").json();
        assert_eq!(changed["attributes"]["note"], injection);
        let rule =
            json!({ "name": "noted", "allow_if": "user.attributes.note == ''", "reason": "No." });
        let spike = stage.sale(json!({ "rules": [rule] })).await;
        let access = Call::get(format!("/spikes/{spike}/access")).bearer(&person.token);
        assert_eq!(stage.send(access).await.json()["allowed"], false);
    }
    witness.finds_all_well().await;
}

#[tokio::test]
async fn fault_29_rule_bombs_are_refused_when_they_are_saved() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let nested = |times: usize| format!("{}true{}", "(".repeat(times), ")".repeat(times));
    // Well-formed: what is refused is the nesting.
    let maps = (0..4).fold("[1, 2]".to_owned(), |inner, depth| {
        format!("[1, 2].map(x{depth}, {inner})")
    });
    let bombs = [
        ("parser bomb", "[".repeat(125)),
        ("depth 200", nested(200)),
        ("nested map", format!("{maps}.size() > 0")),
        (
            "nested filter",
            "[1,2].filter(a, [1,2].filter(b, [1,2].filter(c, [1,2].filter(d, true).size() > 0).size() > 0).size() > 0).size() > 0".to_owned(),
        ),
        ("catastrophic regex", "user.id.matches('(a*)*(a*)*(a*)*b{1000}{1000}')".to_owned()),
        ("regex from outside", "user.id.matches(user.attributes.pattern)".to_owned()),
        ("2 KiB of source", format!("'{}' == ''", "x".repeat(2_100))),
        ("no rule", String::new()),
    ];
    for (name, bomb) in bombs {
        let rule = json!({ "name": "bomb", "allow_if": bomb, "reason": "No." });
        let call = Call::post("/admin/spikes").json(&settings(json!({ "rules": [rule] })));
        let answer = stage.admin(call).await;
        assert_eq!(answer.outcome(), "422 bad-rule", "{name}");
        assert_eq!(answer.text("rule"), "bomb", "{name}");
    }
    let megabyte = json!({ "name": "bomb", "allow_if": "x".repeat(1 << 20), "reason": "No." });
    let call = Call::post("/admin/spikes").json(&settings(json!({ "rules": [megabyte] })));
    stage.admin(call).await.expect("413 too-large");
    witness.finds_all_well().await;
}

#[tokio::test]
async fn fault_29_a_rule_that_fails_at_run_time_denies() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let person = stage.person().await;
    for allow_if in [
        "user.attributes.nothing > 1",
        "1 / (user.id.size() - user.id.size()) == 1",
        "user.id > 7",
        "user.id",
    ] {
        let rule = json!({ "name": "failing", "allow_if": allow_if, "reason": "It failed." });
        let call = Call::post("/admin/spikes").json(&settings(json!({ "rules": [rule] })));
        let made = stage.admin(call).await;
        if made.outcome() == "422 bad-rule" {
            continue; // Found out already: better still.
        }
        let spike = made.expect("201").text("spike_id");
        let denied = stage.order(&person, &spike, 1).await.expect("403 denied");
        assert_eq!(denied.text("detail"), "It failed.", "{allow_if}");
    }
    witness.finds_all_well().await;
}
