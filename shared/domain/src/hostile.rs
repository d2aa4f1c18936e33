//! What no text from outside does to a parser: make it panic, or pass for the spelling of something that it is not.

use std::{fmt::Display, str::FromStr};

use proptest::{collection::btree_set, prelude::*};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Currency, Money, OrderId, OrderPlaced, SpikeId, Timestamp, Units, UserId, Username, Verdict,
    spike::Rule, user,
};

/// One JSON string a line.
const CORPUS: &str = include_str!("../corpus/texts.jsonl");

fn corpus() -> impl Iterator<Item = String> {
    CORPUS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

/// Any text, or one that is nearly something.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-fA-F]{11,13}",
        "[-+]?[0-9]{0,5}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,12})?([Zz]|[-+][0-9]{2}:[0-9]{2})",
        "[0-9,|+-]{0,40}",
        "[A-Za-z0-9._-]{2,66}",
        "[A-ZÄ]{2,4}",
    ]
}

fn ids() -> impl Strategy<Value = (Timestamp, [u8; 10])> {
    (
        any::<i64>().prop_map(Timestamp::from_millis),
        any::<[u8; 10]>(),
    )
}

/// What parses is written as it was read, alone and in JSON, and both readers agree.
fn only_as_written<T>(text: &str)
where
    T: FromStr + Display + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let json = serde_json::to_string(text).unwrap();
    let (parsed, read) = (
        text.parse::<T>().ok(),
        serde_json::from_str::<T>(&json).ok(),
    );
    assert_eq!(parsed, read, "{text:?}");
    if let Some(value) = parsed {
        assert_eq!(value.to_string(), text);
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
    }
}

/// Puts a text through every parser of this crate.
fn put_through(text: &str) {
    only_as_written::<SpikeId>(text);
    only_as_written::<UserId>(text);
    only_as_written::<OrderId>(text);
    only_as_written::<Currency>(text);
    if let Ok(units) = text.parse::<Units>() {
        assert_eq!(units.to_string(), text);
    }
    if let Ok(name) = text.parse::<Username>() {
        assert_eq!(name.as_str(), text.to_ascii_lowercase());
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
    }
    let json = serde_json::to_string(text).unwrap();
    if let Ok(time) = serde_json::from_str::<Timestamp>(&json) {
        // Other offsets are read too, and written as UTC.
        let written = serde_json::to_string(&time).unwrap();
        assert_eq!(serde_json::from_str::<Timestamp>(&written).unwrap(), time);
    }
    let spike = SpikeId::mint(Timestamp::from_millis(0), [0; 10]);
    if let Ok(placed) = OrderPlaced::from_member(spike, text) {
        assert_eq!(placed.member(), text);
    }
    assert_eq!(Verdict::from_text(text) == Verdict::Allowed, text == "+");
    let _ = user::is_display_name(text);
    // As a document of its own, too.
    let _ = serde_json::from_str::<Money>(text);
    let _ = serde_json::from_str::<Rule>(text);
    let _ = serde_json::from_str::<Units>(text);
}

#[test]
fn fault_28_no_text_of_the_corpus_passes_for_what_it_is_not() {
    let mut texts_total = 0;
    for text in corpus() {
        put_through(&text);
        for other in corpus().take(16) {
            put_through(&format!("{text}{other}"));
        }
        texts_total += 1;
    }
    assert!(texts_total > 100, "{texts_total}");
}

proptest! {
    #[test]
    fn fault_28_no_text_passes_for_what_it_is_not(text in texts()) {
        put_through(&text);
    }

    #[test]
    fn an_id_survives_its_text_and_json((now, random) in ids()) {
        let id = OrderId::mint(now, random);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        let json = serde_json::to_string(&id).unwrap();
        prop_assert_eq!(serde_json::from_str::<OrderId>(&json).unwrap(), id);
    }

    #[test]
    fn an_outbox_member_survives_its_text((now, random) in ids(), units in btree_set(1_u32.., 1..10)) {
        let placed = OrderPlaced {
            order_id: OrderId::mint(now, random),
            spike_id: SpikeId::mint(now, random),
            user_id: UserId::mint(now, random),
            units: units.into_iter().collect(),
        };
        let read = OrderPlaced::from_member(placed.spike_id, &placed.member());
        prop_assert_eq!(read, Ok(placed));
    }

    #[test]
    fn money_survives_its_json(amount_minor in any::<u64>(), currency in "[A-Z]{3}") {
        let money = Money { amount_minor, currency: currency.parse().unwrap() };
        let json = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
    }

    #[test]
    fn a_verdict_survives_its_text(reason in any::<String>()) {
        let denied = Verdict::Denied(reason);
        prop_assert_eq!(Verdict::from_text(&denied.to_text()), denied);
    }
}
