//! Refresh tokens: 256 random bits in base64url. The store keeps only their hash, so whoever reads it cannot log in.

use std::{fmt::Write as _, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// How long a refresh token is valid after it was handed out.
pub const LIFETIME: Duration = Duration::from_hours(30 * 24);

const TOKEN_BYTES: usize = 32;
const FAMILY_BYTES: usize = 16;

/// A new token.
pub struct Minted {
    /// What the client gets: 43 characters.
    pub text: String,
    /// What the store gets.
    pub hash: String,
}

/// Makes a new token.
#[must_use]
pub fn mint() -> Minted {
    let bytes = crate::random::<TOKEN_BYTES>();
    Minted {
        text: URL_SAFE_NO_PAD.encode(bytes),
        hash: hash_bytes(&bytes),
    }
}

/// A name for all tokens that descend from one login.
#[must_use]
pub fn family() -> String {
    URL_SAFE_NO_PAD.encode(crate::random::<FAMILY_BYTES>())
}

/// Under what a token is kept: SHA-256 of its bytes in hexadecimal. None for a text that [`mint`] cannot have made.
#[must_use]
pub fn hash(text: &str) -> Option<String> {
    let mut bytes = [0; TOKEN_BYTES];
    let decoded = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes);
    (decoded == Ok(TOKEN_BYTES)).then(|| hash_bytes(&bytes))
}

fn hash_bytes(bytes: &[u8; TOKEN_BYTES]) -> String {
    let hash = digest::digest(&digest::SHA256, bytes);
    hash.as_ref()
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a `String` does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests;
