//! What no text from outside does to a reader of tokens and keys: make it panic, or pass for one that was handed out.

use std::sync::Arc;

use domain::{SpikeId, Timestamp, UserId, Username};
use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    KeySet, Passwords, PathTokens, Unauthorized, Verifier, bearer, refresh_token, testing,
    unverified_subject,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The texts that all parsers are put to the test with, one JSON string a line.
const CORPUS: &str = include_str!("../../domain/corpus/texts.jsonl");

fn corpus() -> impl Iterator<Item = String> {
    CORPUS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

fn verifier() -> Verifier {
    Verifier::new(&testing::key_set(), testing::ISSUER, Arc::new(|| NOW)).unwrap()
}

fn authorization(values: &[&[u8]]) -> HeaderMap {
    let values = values
        .iter()
        .filter_map(|it| HeaderValue::from_bytes(it).ok());
    values.map(|it| (header::AUTHORIZATION, it)).collect()
}

/// Puts a text through every reader of this crate.
fn put_through(verifier: &Verifier, paths: &PathTokens, text: &str) {
    assert_eq!(verifier.verify(text), Err(Unauthorized), "{text:?}");
    // Nobody has looked at the signature, which may even be missing.
    let _ = unverified_subject(text);
    let (spike, user) = (SpikeId::mint(NOW, [1; 10]), UserId::mint(NOW, [2; 10]));
    assert!(!paths.verify(spike, user, NOW, text), "{text:?}");
    if refresh_token::hash(text).is_some() {
        assert_eq!(text.len(), 43, "{text:?}");
    }
    assert!(!Passwords::acceptable(text), "{text:?}");
    let ada: Username = "ada".parse().unwrap();
    let _ = Passwords::check(text, &ada);
    assert!(KeySet::parse(text).is_err(), "{text:?}");
    for value in [text.to_owned(), format!("Bearer {text}")] {
        let headers = authorization(&[value.as_bytes()]);
        if let Some(token) = bearer(&headers) {
            assert_eq!(verifier.verify(token), Err(Unauthorized), "{value:?}");
        }
    }
}

#[test]
fn fault_25_no_text_of_the_corpus_is_a_token() {
    let (verifier, paths) = (verifier(), PathTokens::new(&[7; 32]).unwrap());
    for text in corpus() {
        put_through(&verifier, &paths, &text);
        put_through(&verifier, &paths, &format!("{text}.{text}.{text}"));
    }
}

/// The three parts of a token: texts in base64url, and texts that are none.
fn parts() -> impl Strategy<Value = String> {
    let member = prop_oneof![
        Just(json!({ "alg": "none" })),
        Just(json!({ "alg": "RS256", "typ": "at+jwt", "kid": testing::signing_key().kid() })),
        Just(
            json!({ "iss": testing::ISSUER, "aud": "spike", "sub": UserId::mint(NOW, [3; 10]), "exp": "never" })
        ),
        Just(
            json!({ "iss": testing::ISSUER, "aud": ["spike"], "exp": -1, "iat": 1e300, "roles": "admin" })
        ),
        Just(json!([])),
        any::<String>().prop_map(Value::String),
    ];
    let part = prop_oneof![
        member.prop_map(|json| encoded(json.to_string().as_bytes())),
        any::<Vec<u8>>().prop_map(|bytes| encoded(&bytes)),
        any::<String>(),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.join("."))
}

fn encoded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Anything that stands where a key of a set is expected.
fn jwks() -> impl Strategy<Value = Value> {
    let member = prop_oneof![
        Just(json!("RSA")),
        Just(json!("sig")),
        Just(json!("RS256")),
        Just(json!("AQAB")),
        Just(json!(null)),
        any::<u64>().prop_map(|it| json!(it)),
        any::<String>().prop_map(|it| json!(it)),
        any::<Vec<u8>>().prop_map(|it| json!(encoded(&it))),
    ];
    let name = prop::sample::select(vec!["kty", "use", "alg", "kid", "n", "e", "d", "x5u"]);
    let key = prop::collection::hash_map(name, member, 0..8);
    prop::collection::vec(key.prop_map(|it| json!(it)), 0..4)
        .prop_map(|keys| json!({ "keys": keys }))
}

proptest! {
    #[test]
    fn fault_25_no_parts_make_a_token(text in parts()) {
        put_through(&verifier(), &PathTokens::new(&[7; 32]).unwrap(), &text);
    }

    #[test]
    fn a_header_is_a_token_only_if_there_is_one_header(one in any::<Vec<u8>>(), other in any::<Vec<u8>>()) {
        let _ = bearer(&authorization(&[&one]));
        let headers = authorization(&[&one, &other]);
        prop_assert!(headers.len() < 2 || bearer(&headers).is_none());
        // What is visible and has no space at its ends comes out as it went in.
        let token = encoded(&one);
        let header = format!("Bearer {token}");
        let headers = authorization(&[header.as_bytes()]);
        prop_assert_eq!(bearer(&headers), Some(token.as_str()));
    }

    #[test]
    fn a_set_of_strange_keys_verifies_nothing_and_survives_its_json(keys in jwks()) {
        if let Ok(set) = KeySet::parse(&keys.to_string()) {
            let again = KeySet::parse(&serde_json::to_string(&set).unwrap());
            prop_assert_eq!(again.unwrap(), set.clone());
            let token = testing::token_for(UserId::mint(NOW, [4; 10]), &[], NOW);
            if let Ok(verifier) = Verifier::new(&set, testing::ISSUER, Arc::new(|| NOW)) {
                prop_assert_eq!(verifier.verify(&token), Err(Unauthorized));
            }
        }
    }
}
