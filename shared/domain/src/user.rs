//! Accounts.

use std::{fmt, str::FromStr};

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

/// One account.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Its id: the subject of its tokens.
    pub id: UserId,
    /// Its name, unique.
    pub username: Username,
    /// PHC string of the password's Argon2id hash; none for an account that cannot log in.
    pub password_hash: Option<String>,
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
}
