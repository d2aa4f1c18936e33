//! Path tokens: the part of a purchase's address that only its buyer can know, and only once the sale has begun.
//!
//! HMAC-SHA256 over spike, user and time window under the server's key, cut to 128 bits. Nothing is stored, and a token
//! is of no use to another user, so bots have nothing to share.

use aws_lc_rs::{constant_time, error::Unspecified, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{SpikeId, Timestamp, UserId};

use crate::KeyError;

const WINDOW_MS: i64 = 60_000;
const TOKEN_BYTES: usize = 16;
const SECRET_BYTES_MIN: usize = 32;

/// Makes and checks path tokens. All times are by Redis' clock.
#[derive(Clone)]
pub struct PathTokens {
    key: hmac::Key,
}

impl PathTokens {
    /// Tokens under this secret, which must be random and at least 32 bytes long.
    pub fn new(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(KeyError::ShortSecret);
        }
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
        })
    }

    /// The user's token of the current window: 22 characters of base64url.
    #[must_use]
    pub fn token(&self, spike_id: SpikeId, user_id: UserId, now: Timestamp) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(spike_id, user_id, window(now)))
    }

    /// Until when a token made at `now` is accepted: the end of the window after its own.
    #[must_use]
    pub fn valid_until(now: Timestamp) -> Timestamp {
        Timestamp::from_millis((window(now) + 2).saturating_mul(WINDOW_MS))
    }

    /// Whether the token is the user's of the current, the previous or the next window. Compares in constant time.
    #[must_use]
    pub fn verify(&self, spike_id: SpikeId, user_id: UserId, now: Timestamp, token: &str) -> bool {
        let mut given = [0; TOKEN_BYTES];
        if URL_SAFE_NO_PAD.decode_slice(token, &mut given) != Ok(TOKEN_BYTES) {
            return false;
        }
        let window = window(now);
        [window, window - 1, window + 1].into_iter().any(|window| {
            let expected = self.mac(spike_id, user_id, window);
            constant_time::verify_slices_are_equal(&expected, &given) == Ok::<(), Unspecified>(())
        })
    }

    fn mac(&self, spike_id: SpikeId, user_id: UserId, window: i64) -> [u8; TOKEN_BYTES] {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(spike_id.as_bytes());
        mac.update(user_id.as_bytes());
        mac.update(&window.to_be_bytes());
        let mut cut = [0; TOKEN_BYTES];
        cut.copy_from_slice(&mac.sign().as_ref()[..TOKEN_BYTES]);
        cut
    }
}

fn window(now: Timestamp) -> i64 {
    now.as_millis() / WINDOW_MS
}

#[cfg(test)]
mod tests;
