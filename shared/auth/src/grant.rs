//! What a login or a refresh hands out.

use domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    keys::{KeyError, SigningKey},
    token::{Caller, LIFETIME_SECS},
};

/// The answer to a login and to a refresh. Answers that carry it are not cached (RFC 6749, section 5.1).
///
/// `{"access_token": "eyJ..", "token_type": "Bearer", "expires_in_secs": 900, "refresh_token": "3q2-.."}`
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Grant {
    /// The access token, for `Authorization: Bearer`.
    #[schema(example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJSUzI1NiJ9.e30.c2ln")]
    pub access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    pub token_type: String,
    /// How long the access token is valid.
    #[schema(example = 900)]
    pub expires_in_secs: u32,
    /// The refresh token, good for one use.
    #[schema(example = "3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs")]
    pub refresh_token: String,
}

impl Grant {
    /// Signs an access token for the caller and hands it out beside the refresh token.
    pub fn issue(
        key: &SigningKey,
        caller: &Caller,
        refresh_token: String,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        Ok(Self {
            access_token: key.sign(caller, now)?,
            token_type: "Bearer".to_owned(),
            expires_in_secs: LIFETIME_SECS,
            refresh_token,
        })
    }
}
