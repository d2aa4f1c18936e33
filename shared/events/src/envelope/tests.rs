use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::conformance::event;

fn structured() -> HeaderMap {
    let content_type = HeaderValue::from_static(CONTENT_TYPE);
    HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)])
}

fn json_of(placed: &OrderPlaced) -> Value {
    serde_json::from_slice(&write(placed)).unwrap()
}

/// The same event in binary mode: headers and body.
fn binary_of(placed: &OrderPlaced) -> (HeaderMap, Vec<u8>) {
    let event = json_of(placed);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    for name in ["specversion", "type", "source", "id", "subject"] {
        let name_in_http: http::HeaderName = format!("ce-{name}").parse().unwrap();
        headers.insert(name_in_http, event[name].as_str().unwrap().parse().unwrap());
    }
    (headers, event["data"].to_string().into_bytes())
}

#[test]
fn the_documented_example_is_what_is_written() {
    let placed = event(3);
    let id = placed.order_id.to_string();
    let expected = json!({
        "specversion": "1.0", "type": "spike.order.placed.v1",
        "id": id, "subject": id, "source": format!("/spikes/{}", placed.spike_id),
        "time": "2023-11-14T22:13:20.003Z", "partitionkey": id, "datacontenttype": "application/json",
        "data": { "order_id": id, "spike_id": placed.spike_id, "user_id": placed.user_id, "units": [4, 1004] },
    });
    assert_eq!(json_of(&placed), expected);
}

#[test]
fn both_modes_are_read() {
    let placed = event(1);
    assert_eq!(read(&structured(), &write(&placed)).unwrap(), placed);
    let (headers, body) = binary_of(&placed);
    assert_eq!(read(&headers, &body).unwrap(), placed);
}

#[test]
fn extensions_of_brokers_are_allowed() {
    let placed = event(1);
    let mut json = json_of(&placed);
    json["knativearrivaltime"] = json!("2026-11-22T10:00:00Z");
    json["traceparent"] = json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(
        read_structured(json.to_string().as_bytes()).unwrap(),
        placed
    );
}

#[test]
fn the_trace_travels_with_the_event_in_both_modes() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let placed = event(1);
    let traced = Received {
        placed: placed.clone(),
        traceparent: Some(TRACE.to_owned()),
    };
    let body = write_within(&placed, Some(TRACE));
    assert_eq!(receive(&structured(), &body).unwrap(), traced);
    let (mut headers, body) = binary_of(&placed);
    let untraced = Received {
        traceparent: None,
        ..traced.clone()
    };
    assert_eq!(receive(&headers, &body).unwrap(), untraced);
    headers.insert("ce-traceparent", HeaderValue::from_static(TRACE));
    assert_eq!(receive(&headers, &body).unwrap(), traced);
}

/// The variant's name, without what it carries.
fn kind(error: &EnvelopeError) -> &'static str {
    match error {
        EnvelopeError::TooLong => "too long",
        EnvelopeError::Mode => "mode",
        EnvelopeError::Malformed(_) => "malformed",
        EnvelopeError::UnknownType => "type",
        EnvelopeError::Data(_) => "data",
        EnvelopeError::Mismatch(_) => "mismatch",
    }
}

#[test]
fn fault_07_each_way_to_spoil_an_event_is_told_apart() {
    let other = event(2);
    let other_id = json!(other.order_id);
    let other_source = json!(format!("/spikes/{}", other.spike_id));
    let upper = json!(other.user_id.to_string().to_uppercase());
    let eleven: Vec<u32> = (1..=11).collect();
    let cases: Vec<(&str, &str, Option<Value>)> = vec![
        ("/specversion", "malformed", None),
        ("/specversion", "malformed", Some(json!("9.9"))),
        ("/specversion", "type", Some(json!("0.3"))),
        ("/type", "malformed", None),
        ("/type", "type", Some(json!("spike.order.placed.v2"))),
        ("/id", "malformed", None),
        ("/id", "malformed", Some(json!(7))),
        ("/id", "mismatch", Some(other_id.clone())),
        ("/subject", "mismatch", None),
        ("/subject", "mismatch", Some(other_id.clone())),
        ("/source", "malformed", None),
        ("/source", "mismatch", Some(other_source)),
        ("/time", "malformed", Some(json!("yesterday"))),
        ("/datacontenttype", "data", Some(json!("text/plain"))),
        ("/data", "data", None),
        ("/data", "data", Some(json!([]))),
        ("/data/order_id", "data", None),
        ("/data/order_id", "mismatch", Some(other_id)),
        ("/data/spike_id", "data", Some(json!("../admin"))),
        ("/data/user_id", "data", Some(upper)),
        ("/data/units", "data", None),
        ("/data/units", "data", Some(json!([]))),
        ("/data/units", "data", Some(json!([0]))),
        ("/data/units", "data", Some(json!([2, 1]))),
        ("/data/units", "data", Some(json!([100_001]))),
        ("/data/units", "data", Some(json!(eleven))),
        ("/data/price", "data", Some(json!(1))),
    ];
    for (pointer, expected, value) in cases {
        let mut json = json_of(&event(1));
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = json.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        let case = format!("{pointer} = {value:?}");
        match value {
            Some(value) => parent.insert(field.to_owned(), value),
            None => parent.remove(field),
        };
        if pointer == "/datacontenttype" {
            parent.insert("data".to_owned(), json!("text"));
        }
        let error = read(&structured(), json.to_string().as_bytes()).unwrap_err();
        assert_eq!(kind(&error), expected, "{case}: {error}");
    }
}

#[test]
fn fault_07_garbage_and_giants_are_refused() {
    let placed = event(1);
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "{",
        "null",
        "[]",
        "\u{0}",
        "{\"specversion\":1}",
        deep.as_str(),
    ] {
        let error = read_structured(body.as_bytes()).unwrap_err();
        let expected = if body.len() > BODY_BYTES_MAX {
            "too long"
        } else {
            "malformed"
        };
        assert_eq!(kind(&error), expected, "{error}");
    }
    assert_eq!(
        kind(&read_structured(&[0xff, 0xfe]).unwrap_err()),
        "malformed"
    );
    let mut giant = write(&placed);
    giant.extend(std::iter::repeat_n(b' ', 300_000));
    assert_eq!(kind(&read(&structured(), &giant).unwrap_err()), "too long");
    assert_eq!(kind(&read_structured(&giant).unwrap_err()), "too long");
}

#[test]
fn fault_07_what_is_neither_structured_nor_binary_is_refused() {
    let body = write(&event(1));
    assert_eq!(kind(&read(&HeaderMap::new(), &body).unwrap_err()), "mode");
    for content_type in [
        "text/plain",
        "application/json",
        "application/cloudevents-batch+json",
    ] {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())]);
        assert_eq!(
            kind(&read(&headers, &body).unwrap_err()),
            "mode",
            "{content_type}"
        );
    }
}

#[test]
fn fault_07_a_spoilt_binary_event_is_refused() {
    let (headers, body) = binary_of(&event(1));
    for (name, expected) in [
        ("ce-id", "malformed"),
        ("ce-type", "malformed"),
        ("ce-source", "malformed"),
        ("ce-subject", "mismatch"),
        ("ce-specversion", "mode"),
        ("content-type", "mode"),
    ] {
        let mut headers = headers.clone();
        headers.remove(name);
        assert_eq!(
            kind(&read(&headers, &body).unwrap_err()),
            expected,
            "{name}"
        );
    }
    let mut old = headers.clone();
    old.insert("ce-specversion", HeaderValue::from_static("0.3"));
    assert_eq!(kind(&read(&old, &body).unwrap_err()), "type");
    assert_eq!(kind(&read(&headers, b"{").unwrap_err()), "malformed");
}

proptest! {
    #[test]
    fn an_event_survives_its_envelope(number in any::<u32>(), units in proptest::collection::btree_set(1..=MAX_STOCK, 1..=10)) {
        let placed = OrderPlaced { units: units.into_iter().collect(), ..event(number) };
        prop_assert_eq!(read(&structured(), &write(&placed)).unwrap(), placed.clone());
        prop_assert_eq!(write(&placed), write(&placed));
    }

    #[test]
    fn fault_07_no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(read_structured(&body).is_err());
        let (headers, _) = binary_of(&event(1));
        prop_assert!(read(&headers, &body).is_err());
    }

    #[test]
    fn fault_07_a_damaged_event_is_read_right_or_not_at_all(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let placed = event(9);
        let mut body = write(&placed);
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(read) = read_structured(&body) {
            prop_assert_eq!((read.order_id, read.spike_id), (placed.order_id, placed.spike_id));
        }
    }

    #[test]
    fn fault_07_a_binary_event_with_strange_headers_is_read_right_or_not_at_all(
        name in prop::sample::select(vec!["ce-id", "ce-type", "ce-source", "ce-subject", "ce-specversion", "ce-time", "ce-datacontenttype", "content-type"]),
        value in prop_oneof![any::<Vec<u8>>(), corpus_texts().prop_map(String::into_bytes)],
    ) {
        let placed = event(9);
        let (mut headers, body) = binary_of(&placed);
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.insert(name, value);
        }
        if let Ok(read) = read(&headers, &body) {
            prop_assert_eq!(read, placed);
        }
    }

    #[test]
    fn fault_07_an_event_with_a_strange_member_is_read_right_or_not_at_all(
        at in prop::sample::select(vec!["/specversion", "/type", "/source", "/subject", "/id", "/time", "/partitionkey", "/datacontenttype", "/data", "/data/order_id", "/data/spike_id", "/data/user_id", "/data/units", "/data/units/0"]),
        value in strange(),
    ) {
        let placed = event(9);
        let mut json = json_of(&placed);
        *json.pointer_mut(at).unwrap() = value;
        if let Ok(read) = read_structured(json.to_string().as_bytes()) {
            // Who the units are for, and which they are, is said only once; all else has to agree with the rest.
            prop_assert_eq!((read.order_id, read.spike_id), (placed.order_id, placed.spike_id));
            prop_assert!(!read.units.is_empty() && read.units.as_slice().len() <= 10);
        }
    }
}

/// A text of those that all parsers are put to the test with.
fn corpus_texts() -> impl Strategy<Value = String> {
    let texts = include_str!("../../../domain/corpus/texts.jsonl").lines();
    let texts = texts.map(|text| serde_json::from_str(text).unwrap());
    prop::sample::select(texts.collect::<Vec<String>>())
}

/// Any JSON.
fn strange() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|it| json!(it)),
        any::<i64>().prop_map(|it| json!(it)),
        any::<f64>().prop_map(|it| json!(it)),
        any::<String>().prop_map(|it| json!(it)),
        corpus_texts().prop_map(|it| json!(it)),
    ];
    leaf.prop_recursive(3, 24, 12, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..12).prop_map(|it| json!(it)),
            prop::collection::hash_map(any::<String>(), inner, 0..4).prop_map(|it| json!(it)),
        ]
    })
}
