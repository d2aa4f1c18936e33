//! Versions in header fields: the `ETag` of an answer and the `If-Match` of the change that follows it.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, header, request::Parts},
};

use crate::problem::{Code, Problem};

/// The version that the caller read: `If-Match: "7"` (RFC 9110, section 13.1.1).
///
/// Without the field, and with `*`, which names no version: 428 `version-required`. Anything else that is not one
/// strong tag of ours can match nothing: 412 `version-mismatch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub u64);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(&parts.headers).map(Self).map_err(Problem::new)
    }
}

fn read(headers: &HeaderMap) -> Result<u64, Code> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Code::VersionRequired),
        (Some(value), None) if value.as_bytes() == b"*" => Err(Code::VersionRequired),
        (Some(value), None) => version(value).ok_or(Code::VersionMismatch),
        (Some(_), Some(_)) => Err(Code::VersionMismatch),
    }
}

fn version(value: &HeaderValue) -> Option<u64> {
    let digits = value
        .to_str()
        .ok()?
        .trim()
        .strip_prefix('"')?
        .strip_suffix('"')?;
    // Only the spelling of `etag`: no sign, no leading zeros.
    let version: u64 = digits.parse().ok()?;
    (version.to_string() == digits).then_some(version)
}

/// The `ETag` field of something at this version.
#[must_use]
pub fn etag(version: u64) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{version}\""))]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The texts that all parsers are put to the test with, one JSON string a line.
    const CORPUS: &str = include_str!("../../../domain/corpus/texts.jsonl");

    fn put_through(value: &[u8]) {
        let Ok(value) = HeaderValue::from_bytes(value) else {
            return;
        };
        let headers = HeaderMap::from_iter([(header::IF_MATCH, value.clone())]);
        match read(&headers) {
            Ok(version) => assert_eq!(etag(version)[0].1, value.to_str().unwrap().trim()),
            Err(Code::VersionRequired) => assert_eq!(value, "*"),
            Err(code) => assert_eq!(code, Code::VersionMismatch),
        }
    }

    #[test]
    fn fault_28_no_text_of_the_corpus_passes_for_another_version() {
        for text in CORPUS.lines() {
            put_through(serde_json::from_str::<String>(text).unwrap().as_bytes());
        }
    }

    proptest! {
        #[test]
        fn a_version_survives_its_tag(version in any::<u64>()) {
            let [(_, tag)] = etag(version);
            let headers = HeaderMap::from_iter([(header::IF_MATCH, tag.parse().unwrap())]);
            prop_assert_eq!(read(&headers), Ok(version));
        }

        #[test]
        fn no_bytes_pass_for_another_version(value in prop_oneof![
            any::<Vec<u8>>(),
            "(W/)? ?\"?[-+]?[0-9]{0,21}\"? ?".prop_map(String::into_bytes),
        ]) {
            put_through(&value);
        }
    }

    #[test]
    fn only_one_strong_tag_is_a_version() {
        let headers = |values: &[&str]| {
            let field = |value: &&str| (header::IF_MATCH, HeaderValue::from_str(value).unwrap());
            values.iter().map(field).collect::<HeaderMap>()
        };
        assert_eq!(read(&headers(&["\"7\""])), Ok(7));
        for values in [&[][..], &["*"]] {
            assert_eq!(
                read(&headers(values)),
                Err(Code::VersionRequired),
                "{values:?}"
            );
        }
        for value in [
            "7",
            "W/\"7\"",
            "\"7\", \"8\"",
            "\"07\"",
            "\"+7\"",
            "\"x\"",
            "\"\"",
            "",
        ] {
            assert_eq!(
                read(&headers(&[value])),
                Err(Code::VersionMismatch),
                "{value}"
            );
        }
        assert_eq!(
            read(&headers(&["\"7\"", "\"7\""])),
            Err(Code::VersionMismatch)
        );
        let [(_, tag)] = etag(u64::MAX);
        assert_eq!(read(&headers(&[&tag])), Ok(u64::MAX));
    }
}
