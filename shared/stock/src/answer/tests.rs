//! Redis may answer anything: another version's scripts, another program's keys. None of it panics, and none of it
//! passes for an answer of ours.

use domain::Verdict;
use proptest::prelude::*;

use super::*;

/// The texts that all parsers are put to the test with, one JSON string a line.
const CORPUS: &str = include_str!("../../../domain/corpus/texts.jsonl");

pub(crate) fn corpus() -> impl Iterator<Item = String> {
    CORPUS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

/// Texts that are nearly a hold, a holder or an answer.
pub(crate) fn texts() -> impl Strategy<Value = String> {
    let id = "01900000-0000-7000-8000-[0-9a-f]{12}";
    let parts = prop_oneof![
        id,
        "[0-9,]{0,12}",
        "[a-z-]{0,12}",
        any::<String>(),
        Just("won".to_owned()),
        Just("replay".to_owned()),
        Just("#retire".to_owned()),
    ];
    prop::collection::vec(parts, 0..5).prop_map(|parts| parts.join("|"))
}

/// Any answer of Redis.
pub(crate) fn answers() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        Just(Value::Okay),
        any::<i64>().prop_map(Value::Int),
        any::<bool>().prop_map(Value::Boolean),
        any::<f64>().prop_map(Value::Double),
        any::<Vec<u8>>().prop_map(Value::BulkString),
        texts().prop_map(|text| Value::BulkString(text.into_bytes())),
        texts().prop_map(Value::SimpleString),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Set),
            prop::collection::vec((inner.clone(), inner), 0..3).prop_map(Value::Map),
        ]
    })
}

fn put_through(text: &str) {
    if let Ok((order_id, units)) = hold(text) {
        assert_eq!(format!("{order_id}|{units}"), text);
    }
    if let Ok((order_id, user_id)) = holder(text) {
        assert!(text.starts_with(&format!("{order_id}|{user_id}|")));
    }
    assert_eq!(
        super::text(Value::BulkString(text.as_bytes().to_vec())).unwrap(),
        text
    );
}

#[test]
fn fault_28_no_text_of_the_corpus_passes_for_a_hold() {
    for text in corpus() {
        put_through(&text);
        for other in corpus() {
            put_through(&format!("{text}|{other}"));
        }
    }
}

proptest! {
    #[test]
    fn no_answer_of_redis_makes_the_readers_panic(answer in answers()) {
        let _ = list(answer.clone());
        let _ = values::<2>(answer.clone());
        let _ = optional(answer.clone()).map(|text| text.map(|text| Verdict::from_text(&text)));
        let _ = time(answer.clone());
        let _ = number::<u32>(answer.clone());
        if let Ok(number) = number::<i64>(answer.clone()) {
            prop_assert!(number.to_string().parse::<i64>() == Ok(number));
        }
        let is_flag = matches!(answer, Value::Int(0 | 1));
        prop_assert_eq!(flag(answer).is_ok(), is_flag);
    }

    #[test]
    fn no_text_passes_for_a_hold(text in texts()) {
        put_through(&text);
    }

    #[test]
    fn a_hold_survives_its_text(ms in any::<i64>(), random in any::<[u8; 10]>(), units in prop::collection::btree_set(1_u32.., 1..10)) {
        let order_id = OrderId::mint(Timestamp::from_millis(ms), random);
        let units: Units = units.into_iter().collect();
        prop_assert_eq!(hold(&format!("{order_id}|{units}")).unwrap(), (order_id, units));
    }
}
