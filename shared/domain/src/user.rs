//! Accounts.

use std::{fmt, io, str::FromStr};

use serde::{Deserialize, Serialize, de::Error as _};

use crate::{Timestamp, UserId};

/// An account's name: 3 to 64 of `a-z 0-9 . _ -`. Capital letters are made small, so that no two names look alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Username(String);

/// The text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a username: expected 3 to 64 of a-z, 0-9, '.', '_' and '-'")]
pub struct ParseUsernameError;

impl Username {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = ParseUsernameError;

    fn from_str(text: &str) -> Result<Self, ParseUsernameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (3..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(ParseUsernameError)
        }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Username {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl utoipa::PartialSchema for Username {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[A-Za-z0-9._-]{3,64}$"))
            .examples(["ada"])
            .into()
    }
}

impl utoipa::ToSchema for Username {}

/// What an account may do beyond buying.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs spikes and accounts.
    Admin,
}

/// The longest display name, in characters.
pub const MAX_DISPLAY_NAME_CHARS: usize = 80;

/// Whether the text can be a display name: 1 to 80 characters, not only blanks, without control characters.
#[must_use]
pub fn is_display_name(text: &str) -> bool {
    let blank = text.trim().is_empty();
    let visible = !blank && !text.chars().any(char::is_control);
    visible && text.chars().count() <= MAX_DISPLAY_NAME_CHARS
}

/// The most bytes of JSON text that a user's attributes may have. What an access rule can cost follows from it.
pub const MAX_ATTRIBUTES_BYTES: u32 = 4096;
/// How deep lists and objects may stand in each other in a user's attributes.
pub const MAX_ATTRIBUTES_DEPTH: u32 = 4;

/// The attributes are larger than access rules are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("attributes may have 4096 bytes and lists or objects in each other four deep")]
pub struct OversizedAttributes;

/// Checks that attributes are within the bounds of access rules.
pub fn check_attributes(
    attributes: &serde_json::Map<String, serde_json::Value>,
) -> Result<(), OversizedAttributes> {
    let deepest = attributes.values().map(depth).max().unwrap_or(0);
    let mut room = Room(MAX_ATTRIBUTES_BYTES as usize);
    if deepest < MAX_ATTRIBUTES_DEPTH && serde_json::to_writer(&mut room, attributes).is_ok() {
        Ok(())
    } else {
        Err(OversizedAttributes)
    }
}

fn depth(value: &serde_json::Value) -> u32 {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Counts bytes down and fails when there is no room left.
struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::WriteZero)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One account.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Its id: the subject of its tokens.
    pub id: UserId,
    /// Its name, unique.
    pub username: Username,
    /// PHC string of the password's Argon2id hash; none for an account that cannot log in.
    pub password_hash: Option<String>,
    /// Raised whenever an operator replaces or clears the password: sessions of an earlier one are over.
    pub credentials_version: u64,
    /// What the user says of themself.
    pub display_name: Option<String>,
    /// What the operator knows of the user; access rules read it. Never set by the user.
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// What the account may do beyond buying. Never set by the user.
    pub roles: Vec<Role>,
    /// Raised by every change: its `ETag`.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_are_one() {
        assert_eq!("Ada.L-1_".parse::<Username>().unwrap().as_str(), "ada.l-1_");
        for text in [
            "ab",
            "a b",
            "äda",
            "ada\n",
            "a/b",
            &"a".repeat(65),
            "' or 1=1",
        ] {
            assert_eq!(text.parse::<Username>(), Err(ParseUsernameError), "{text}");
        }
    }

    #[test]
    fn display_names_are_visible_lines() {
        for (text, fits) in [
            ("Ada Lovelace", true),
            (&"é".repeat(80), true),
            (&"é".repeat(81), false),
            (" ", false),
            ("", false),
            ("a\r\nb", false),
        ] {
            assert_eq!(is_display_name(text), fits, "{text}");
        }
    }

    #[test]
    fn attributes_have_a_largest_size_and_depth() {
        let text = |length: usize| serde_json::json!({ "a": "x".repeat(length) });
        let nested = serde_json::json!({ "a": [[{ "b": 1 }]] });
        let deeper = serde_json::json!({ "a": [[{ "b": [] }]] });
        for (value, fits) in [
            (text(4088), true),
            (text(4089), false),
            (nested, true),
            (deeper, false),
        ] {
            assert_eq!(check_attributes(value.as_object().unwrap()).is_ok(), fits);
        }
    }
}
