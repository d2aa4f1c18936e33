//! Ids, one type per kind: a user's id cannot be passed for an order's.
//!
//! All are UUIDv7 (RFC 9562, section 5.7), written as 36 lower-case characters with hyphens. Only that spelling parses,
//! so that one id is one Redis key and one table key.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};
use uuid::Uuid;

use crate::Timestamp;

/// The text is not an id in its canonical spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a UUID of 36 lower-case characters")]
pub struct ParseIdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a new id from the time and 80 random bits; ids sort by the time of their making.
            #[must_use]
            pub fn mint(now: Timestamp, random: [u8; 10]) -> Self {
                let ms = u64::try_from(now.as_millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
            }

            /// When the id was minted, by its maker's clock.
            #[must_use]
            pub fn minted_at(&self) -> Timestamp {
                let bytes = self.0.as_bytes();
                let ms = bytes[..6].iter().fold(0_i64, |ms, byte| (ms << 8) | i64::from(*byte));
                Timestamp::from_millis(ms)
            }

            /// The id of these sixteen bytes, as [`Self::as_bytes`] gave them.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The sixteen bytes of the id.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let canonical = text.len() == 36 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
                let uuid = Uuid::try_parse(text).ok().filter(|_| canonical);
                uuid.map(Self).ok_or(ParseIdError)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a UUID of 36 lower-case characters")
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .format(Some(utoipa::openapi::SchemaFormat::Custom("uuid".into())))
                    .examples(["01900000-0000-7000-8000-000000000000"])
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

id! {
    /// One flash sale.
    SpikeId
}
id! {
    /// One account.
    UserId
}
id! {
    /// One reservation, and the order that it becomes: the two share their id (rule 2 of the stock protocol).
    ///
    /// Minted at random by whoever asks for units, never derived from Redis' state and never used twice.
    OrderId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = OrderId::mint(Timestamp::from_millis(1_700_000_000_123), [7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(OrderId::from_bytes(*id.as_bytes()), id);
        assert_eq!(id.minted_at(), Timestamp::from_millis(1_700_000_000_123));
        assert_eq!(
            serde_json::from_str::<OrderId>(&serde_json::to_string(&id).unwrap()).unwrap(),
            id
        );
    }

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        let id = UserId::mint(Timestamp::from_millis(1), [0xab; 10]).to_string();
        for text in [
            id.to_uppercase(),
            id.replace('-', ""),
            format!("{{{id}}}"),
            format!("urn:uuid:{id}"),
            String::new(),
        ] {
            assert_eq!(text.parse::<UserId>(), Err(ParseIdError), "{text}");
        }
    }
}
