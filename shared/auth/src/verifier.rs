//! Verifies access tokens.

use std::sync::Arc;

use aws_lc_rs::digest;
use cache::Timed;
use domain::Clock;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};

use crate::{
    keys::{KeyError, KeySet},
    token::{AUDIENCE, Caller, Claims, MAX_BYTES, TYPE},
};

/// How many verified tokens are remembered.
const REMEMBERED_MAX: u64 = 50_000;

/// There is no token, or it is not valid. Why is nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no valid access token")]
pub struct Unauthorized;

/// Verifies access tokens against a fixed set of public keys; what a token says about keys is never followed.
pub struct Verifier {
    keys: Vec<(String, DecodingKey)>,
    issuer: String,
    validation: Validation,
    /// SHA-256 of a token -> its caller, until the token ends.
    verified: Timed<[u8; digest::SHA256_OUTPUT_LEN], Arc<Caller>>,
    clock: Clock,
}

impl Verifier {
    /// Accepts tokens of `issuer` that any of `keys` has signed, by `clock`'s time.
    pub fn new(keys: &KeySet, issuer: &str, clock: Clock) -> Result<Self, KeyError> {
        let decoded = keys.keys.iter().map(|key| {
            let decoding = DecodingKey::from_rsa_components(&key.n, &key.e);
            decoding
                .map(|decoding| (key.kid.clone(), decoding))
                .map_err(|_| KeyError::Rejected)
        });
        let keys = decoded.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(KeyError::NoKey);
        }
        let verified = Timed::new(REMEMBERED_MAX, Arc::clone(&clock));
        Ok(Self {
            keys,
            issuer: issuer.to_owned(),
            validation: validation(),
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

    fn claims(&self, token: &str) -> Option<Claims> {
        let key = self.key(&jsonwebtoken::decode_header(token).ok()?)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation)
            .ok()?
            .claims;
        let ours = claims.iss == self.issuer && claims.aud == AUDIENCE;
        (ours && claims.is_current((self.clock)())).then_some(claims)
    }

    /// The key that the header names among ours. Its `jwk`, `jku` and `x5u` are not looked at; extensions that must be
    /// understood are not (RFC 7515, section 4.1.11).
    fn key(&self, header: &Header) -> Option<&DecodingKey> {
        let ours = header.typ.as_deref() == Some(TYPE)
            && header.alg == Algorithm::RS256
            && header.crit.is_none();
        let kid = header.kid.as_deref().filter(|_| ours)?;
        self.keys
            .iter()
            .find(|(id, _)| id == kid)
            .map(|(_, key)| key)
    }
}

/// The library checks the signature only. Its time checks read the machine's clock, ours the injected one; issuer and
/// audience are compared as the single texts that we write, where it would also take lists.
fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn sha256(text: &str) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut hash = [0; digest::SHA256_OUTPUT_LEN];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests;
