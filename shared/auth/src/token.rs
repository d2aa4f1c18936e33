//! What an access token says.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Role, Timestamp, UserId};
use serde::{Deserialize, Deserializer, Serialize};

/// For whom access tokens are made: the `aud` claim.
pub const AUDIENCE: &str = "spike";
/// How long an access token is valid.
pub const LIFETIME_SECS: u32 = 15 * 60;
/// The `typ` of the header, so that no other JWT of the same issuer passes for an access token (RFC 9068, section 2.1).
pub const TYPE: &str = "at+jwt";
/// How far the clocks of signer and verifier may differ.
pub const LEEWAY_SECS: i64 = 60;
/// No token of ours is longer.
pub const MAX_BYTES: usize = 4 * 1024;

/// Who calls, as a verified access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub user_id: UserId,
    /// What the account may do beyond buying.
    pub roles: Vec<Role>,
}

/// The claims of an access token (RFC 9068, section 2.2); times are whole seconds since the Unix epoch.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: UserId,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number"
    )]
    pub(crate) nbf: Option<i64>,
    pub(crate) jti: String,
    pub(crate) roles: Vec<Role>,
}

/// A number, if the member is there at all; `null` and a number in quotes are refused.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(deserializer).map(Some)
}

impl Claims {
    pub(crate) fn new(issuer: &str, caller: &Caller, now: Timestamp) -> Self {
        Self {
            iss: issuer.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: caller.user_id,
            iat: now.as_secs(),
            exp: now.as_secs() + i64::from(LIFETIME_SECS),
            nbf: None,
            jti: URL_SAFE_NO_PAD.encode(crate::random::<16>()),
            roles: caller.roles.clone(),
        }
    }

    /// Whether the token may be used at `now`, give or take the leeway.
    pub(crate) fn is_current(&self, now: Timestamp) -> bool {
        let now = now.as_secs();
        let begun = self
            .nbf
            .is_none_or(|nbf| nbf <= now.saturating_add(LEEWAY_SECS));
        begun && now < self.exp.saturating_add(LEEWAY_SECS)
    }

    /// When the token ends, without leeway.
    pub(crate) fn expires_at(&self) -> Timestamp {
        Timestamp::from_millis(self.exp.saturating_mul(1000))
    }
}

/// Whose the token claims to be, without any check: good for a guess that is verified later, never for a decision.
///
/// Reads tokens of ours only, whose claims are compact JSON: every refusal of a sold-out sale pays for this, so the
/// claims are not parsed but looked through.
#[must_use]
pub fn unverified_subject(token: &str) -> Option<UserId> {
    const MEMBER: &[u8] = br#""sub":""#;
    const ID_BYTES: usize = 36;
    if token.len() > MAX_BYTES {
        return None;
    }
    let mut room = [0; MAX_BYTES];
    let payload = token.split('.').nth(1)?;
    let length = URL_SAFE_NO_PAD.decode_slice(payload, &mut room).ok()?;
    let claims = &room[..length];
    let member = claims
        .windows(MEMBER.len())
        .position(|bytes| bytes == MEMBER)?;
    let id = claims.get(member + MEMBER.len()..)?.get(..ID_BYTES)?;
    std::str::from_utf8(id).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
