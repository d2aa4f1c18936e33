//! The keys of access tokens: one private key signs, a set of public keys verifies.
//!
//! A key is replaced in three steps: publish the next one in the set (and wait until everybody has the set), sign with
//! it, and after a token's lifetime drop the old one.

use aws_lc_rs::{
    digest,
    encoding::AsDer as _,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize, PublicKey},
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaPublicKeyComponents},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use domain::Timestamp;
use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Serialize};

use crate::token::{Caller, Claims, TYPE};

const PRIVATE_LABEL: &str = "PRIVATE KEY";
const PUBLIC_LABEL: &str = "PUBLIC KEY";
const PEM_COLUMNS: usize = 64;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not one PEM block with the label `PRIVATE KEY`.
    #[error("the signing key is not a PEM file with one PRIVATE KEY (PKCS #8)")]
    NotPem,
    /// Not an RSA key of 2048 to 8192 bits.
    #[error("the key is not an RSA key of 2048 to 8192 bits")]
    Rejected,
    /// Not a JWK set.
    #[error("the public keys are not a JWK set")]
    NotKeySet(#[source] serde_json::Error),
    /// Not PEM blocks with the label `PUBLIC KEY` and nothing else.
    #[error("the public keys are not PEM blocks of PUBLIC KEY (SubjectPublicKeyInfo)")]
    NotPublicPem,
    /// A JWK set without a usable key.
    #[error("the JWK set holds no RS256 signature key with a key id")]
    NoKey,
    /// The secret of the path tokens is too short to be one.
    #[error("the path token key is shorter than 32 bytes")]
    ShortSecret,
    /// The library refused to make a key or a signature: a defect.
    #[error("the cryptographic library failed")]
    Library,
}

/// A public RSA key (RFC 7517, RFC 7518 section 6.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Jwk {
    /// Always `RSA`.
    #[schema(example = "RSA")]
    pub kty: String,
    /// Always `sig`.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    pub purpose: String,
    /// Always `RS256`.
    #[schema(example = "RS256")]
    pub alg: String,
    /// The key's id: its thumbprint (RFC 7638).
    #[schema(example = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")]
    pub kid: String,
    /// The modulus, big-endian, in base64url.
    #[schema(
        example = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRX"
    )]
    pub n: String,
    /// The public exponent, big-endian, in base64url.
    #[schema(example = "AQAB")]
    pub e: String,
}

/// The public keys of which any may have signed a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeySet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

impl KeySet {
    /// Reads a JWK set (RFC 7517, section 5), or public keys in PEM (`SubjectPublicKeyInfo`, RFC 7468 section 13), one after
    /// another: on AWS the set is made of secrets that hold a key each (ADR 25).
    ///
    /// Keys of other kinds or purposes in a JWK set are left out, as its section 5 asks.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text
            .trim_start()
            .starts_with(&format!("-----BEGIN {PUBLIC_LABEL}-----"))
        {
            return Self::from_pem(text);
        }
        Self::from_json(text)
    }

    /// The id of each key is its thumbprint, as [`SigningKey`] reckons it.
    fn from_pem(text: &str) -> Result<Self, KeyError> {
        let end = format!("-----END {PUBLIC_LABEL}-----");
        let blocks = text.trim().split_inclusive(&end);
        let keys = blocks.map(|block| {
            let der = read_pem(block, PUBLIC_LABEL).ok_or(KeyError::NotPublicPem)?;
            let key = PublicKey::from_der(&der).map_err(|_| KeyError::Rejected)?;
            Ok(jwk(&key))
        });
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
        })
    }

    fn from_json(json: &str) -> Result<Self, KeyError> {
        #[derive(Deserialize)]
        struct Raw {
            keys: Vec<serde_json::Value>,
        }
        let raw: Raw = serde_json::from_str(json).map_err(KeyError::NotKeySet)?;
        let usable = |key: &Jwk| {
            key.kty == "RSA" && key.purpose == "sig" && key.alg == "RS256" && !key.kid.is_empty()
        };
        let keys = raw
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<Jwk> = keys.filter(usable).collect();
        if keys.is_empty() {
            Err(KeyError::NoKey)
        } else {
            Ok(Self { keys })
        }
    }
}

/// The private key that signs access tokens, together with the name of the issuer that they carry.
pub struct SigningKey {
    pair: KeyPair,
    jwk: Jwk,
    issuer: String,
    /// The header of every token, ready in base64url.
    header: String,
}

impl SigningKey {
    /// Reads an RSA key in PEM (PKCS #8, RFC 7468 section 10). Its tokens will name `issuer` as `iss`.
    pub fn from_pem(pem: &str, issuer: &str) -> Result<Self, KeyError> {
        let der = read_pem(pem, PRIVATE_LABEL).ok_or(KeyError::NotPem)?;
        let pair = KeyPair::from_pkcs8(&der).map_err(|_| KeyError::Rejected)?;
        let jwk = jwk(pair.public_key());
        let header = encoded_header(&jwk.kid)?;
        Ok(Self {
            pair,
            jwk,
            issuer: issuer.to_owned(),
            header,
        })
    }

    /// Makes a new key of 2048 bits and answers with its PEM text, which [`Self::from_pem`] reads.
    pub fn generate_pem() -> Result<String, KeyError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Library)?;
        let der = pair.as_der().map_err(|_| KeyError::Library)?;
        Ok(write_pem(der.as_ref(), PRIVATE_LABEL))
    }

    /// The key's id: the thumbprint of its public half (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.jwk.kid
    }

    /// The public half.
    #[must_use]
    pub fn jwk(&self) -> Jwk {
        self.jwk.clone()
    }

    /// The public half in PEM (`SubjectPublicKeyInfo`), for verifiers that do not read JWK sets.
    pub fn public_pem(&self) -> Result<String, KeyError> {
        let der = self
            .pair
            .public_key()
            .as_der()
            .map_err(|_| KeyError::Library)?;
        Ok(write_pem(der.as_ref(), PUBLIC_LABEL))
    }

    /// The issuer's name.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// An access token for the caller, valid for 15 minutes from `now`.
    pub fn sign(&self, caller: &Caller, now: Timestamp) -> Result<String, KeyError> {
        let claims = serde_json::to_vec(&Claims::new(&self.issuer, caller, now));
        let claims = claims.map_err(|_| KeyError::Library)?;
        self.seal(&self.header, &URL_SAFE_NO_PAD.encode(claims))
    }

    /// Signs an encoded header and payload. `jsonwebtoken::encode` would read and check the private key for every
    /// token; this key was read and checked once.
    pub(crate) fn seal(&self, header: &str, payload: &str) -> Result<String, KeyError> {
        let mut token = format!("{header}.{payload}");
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed = self.pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            token.as_bytes(),
            &mut signature,
        );
        signed.map_err(|_| KeyError::Library)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

/// The first part of every token that the key `kid` has signed.
pub(crate) fn encoded_header(kid: &str) -> Result<String, KeyError> {
    let header = Header {
        typ: Some(TYPE.to_owned()),
        kid: Some(kid.to_owned()),
        ..Header::new(Algorithm::RS256)
    };
    let header = serde_json::to_vec(&header).map_err(|_| KeyError::Library)?;
    Ok(URL_SAFE_NO_PAD.encode(header))
}

fn jwk(key: &PublicKey) -> Jwk {
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(key);
    let (n, e) = (
        URL_SAFE_NO_PAD.encode(public.n),
        URL_SAFE_NO_PAD.encode(public.e),
    );
    // RFC 7638, section 3: the required members in alphabetical order, without white space.
    let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    let kid = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
    Jwk {
        kty: "RSA".into(),
        purpose: "sig".into(),
        alg: "RS256".into(),
        kid,
        n,
        e,
    }
}

fn read_pem(text: &str, label: &str) -> Option<Vec<u8>> {
    let body = text
        .trim()
        .strip_prefix(&format!("-----BEGIN {label}-----"))?;
    let body = body.strip_suffix(&format!("-----END {label}-----"))?;
    STANDARD
        .decode(body.split_ascii_whitespace().collect::<String>())
        .ok()
}

fn write_pem(der: &[u8], label: &str) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (column, letter) in STANDARD.encode(der).chars().enumerate() {
        if column > 0 && column % PEM_COLUMNS == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem + &format!("\n-----END {label}-----\n")
}

#[cfg(test)]
mod tests;
