//! Refresh tokens: 256 random bits in base64url. The store keeps only their hash, so whoever reads it cannot log in.

use std::{fmt::Write as _, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// How long a refresh token is valid after it was handed out.
pub const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const TOKEN_BYTES: usize = 32;

/// A new token: 43 characters.
#[must_use]
pub fn mint() -> String {
    URL_SAFE_NO_PAD.encode(crate::random::<TOKEN_BYTES>())
}

/// A name for all tokens that descend from one login, as random as a token.
#[must_use]
pub fn family() -> String {
    URL_SAFE_NO_PAD.encode(crate::random::<TOKEN_BYTES>())
}

/// Under what a token is kept: SHA-256 of its bytes in hexadecimal. None for a text that no [`mint`] made.
#[must_use]
pub fn hash(token: &str) -> Option<String> {
    let mut bytes = [0; TOKEN_BYTES];
    let decoded = URL_SAFE_NO_PAD.decode_slice(token, &mut bytes);
    (decoded == Ok(TOKEN_BYTES)).then(|| {
        let hash = digest::digest(&digest::SHA256, &bytes);
        hash.as_ref()
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                // Writing to a `String` does not fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    })
}

#[cfg(test)]
mod tests;
