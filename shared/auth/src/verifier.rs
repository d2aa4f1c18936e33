//! Verifies access tokens.

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use cache::Timed;
use domain::Clock;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};

use crate::{
    keys::{KeyError, KeySet, encoded_header},
    token::{AUDIENCE, Caller, Claims, MAX_BYTES},
};

/// How many verified tokens are remembered.
const REMEMBERED_MAX: usize = 50_000;

/// There is no token, or it is not valid. Why is nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no valid access token")]
pub struct Unauthorized;

/// Verifies access tokens against a fixed set of public keys; what a token says about keys is never followed.
pub struct Verifier {
    /// The header of the tokens that a key has signed, and the key.
    keys: Vec<(String, DecodingKey)>,
    issuer: String,
    /// SHA-256 of a token -> its caller, until the token ends.
    verified: Timed<[u8; digest::SHA256_OUTPUT_LEN], Arc<Caller>>,
    clock: Clock,
}

impl Verifier {
    /// Accepts tokens of `issuer` that any of `keys` has signed, by `clock`'s time.
    pub fn new(keys: &KeySet, issuer: &str, clock: Clock) -> Result<Self, KeyError> {
        let decoded = keys.keys.iter().map(|key| {
            let decoding = DecodingKey::from_rsa_components(&key.n, &key.e);
            let decoding = decoding.map_err(|_| KeyError::Rejected)?;
            Ok((encoded_header(&key.kid)?, decoding))
        });
        let keys = decoded.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(KeyError::NoKey);
        }
        let verified = Timed::new(REMEMBERED_MAX, Arc::clone(&clock));
        Ok(Self {
            keys,
            issuer: issuer.to_owned(),
            verified,
            clock,
        })
    }

    /// Who calls with this token.
    pub fn verify(&self, token: &str) -> Result<Arc<Caller>, Unauthorized> {
        if token.len() > MAX_BYTES {
            return Err(Unauthorized);
        }
        let hash = sha256(token);
        if let Some(caller) = self.verified.get(&hash) {
            return Ok(caller);
        }
        let claims = self.claims(token).ok_or(Unauthorized)?;
        let ends_at = claims.expires_at();
        let caller = Arc::new(Caller {
            user_id: claims.sub,
            roles: claims.roles,
        });
        self.verified
            .insert_until(hash, Arc::clone(&caller), ends_at);
        Ok(caller)
    }

    /// The claims, if all of the token is as we write it and it can be used now.
    ///
    /// The library checks the signature. It would also read the header, three times, and check times by the machine's
    /// clock; our headers are known to the letter, and the clock is the injected one.
    fn claims(&self, token: &str) -> Option<Claims> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let key = self.key(header)?;
        let signed = crypto::verify(signature, message.as_bytes(), key, Algorithm::RS256);
        if !signed.unwrap_or(false) {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let ours = claims.iss == self.issuer && claims.aud == AUDIENCE;
        (ours && claims.is_current((self.clock)())).then_some(claims)
    }

    /// The key whose tokens have this header. Nothing in a header is followed, or even read: not its `alg`, nor `jwk`,
    /// `jku`, `x5u` and `crit` (RFC 7515, section 4.1).
    fn key(&self, header: &str) -> Option<&DecodingKey> {
        let mut keys = self.keys.iter();
        keys.find(|(ours, _)| ours == header).map(|(_, key)| key)
    }
}

fn sha256(text: &str) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut hash = [0; digest::SHA256_OUTPUT_LEN];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests;
