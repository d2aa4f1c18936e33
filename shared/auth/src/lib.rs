//! Who is calling: passwords, access tokens, refresh tokens, path tokens, and the extractors that ask for them.
//!
//! An **access token** is a JWT (RFC 9068) signed with RS256 that lives for 15 minutes; every function verifies it by
//! itself with the public keys. A **refresh token** is 256 random bits of which the store keeps only the hash. A
//! **path token** is a MAC over spike, user and time that makes the address of a purchase hard to guess.

pub mod extract;
pub mod grant;
pub mod keys;
pub mod passwords;
pub mod path_token;
pub mod refresh_token;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod token;
pub mod verifier;

pub use extract::{Admin, Authenticator, User, bearer};
pub use grant::Grant;
pub use keys::{Jwk, KeyError, KeySet, SigningKey};
pub use passwords::{Passwords, WeakPassword};
pub use path_token::PathTokens;
pub use token::{Caller, unverified_subject};
pub use verifier::{Unauthorized, Verifier};

/// Random bytes for ids, tokens and salts.
///
/// # Panics
/// Never: AWS-LC ends the process when the system has no entropy, so an error cannot be seen here.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "AWS-LC aborts rather than fail: RAND_bytes always answers 1"
)]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("AWS-LC has entropy or has aborted");
    bytes
}

#[cfg(test)]
mod hostile;
