//! The secrets, as `secrets.tf` makes them: two slots of signing keys, the first of which signs.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use auth::SigningKey;
use rcgen::KeyPair;

use crate::{redis::Redis, secrets::Secrets};

/// What is kept, and by which names it is asked for.
pub(super) struct Kept {
    pub(super) service: Secrets,
    /// Of a name of `runtime::env`, the ARNs.
    pub(super) arns: BTreeMap<&'static str, String>,
    pub(super) path_token_key: String,
}

impl Kept {
    /// Makes all keys, and writes the one that signs into a file.
    pub(super) fn new(signing_key_file: &Path, redis: &Redis) -> anyhow::Result<Self> {
        let mut service = Secrets::default();
        let (first, second) = (SigningKey::generate_pem()?, SigningKey::generate_pem()?);
        std::fs::write(signing_key_file, &first)?;
        let mut public = Vec::new();
        for (slot, key) in [("a", &first), ("b", &second)] {
            let pair = KeyPair::from_pem(key).context("the signing key")?;
            let name = format!("public-key-{slot}");
            public.push(service.add(&name, pair.public_key_pem()));
        }
        let path_token_key = format!("{}{}", crate::request_id(), crate::request_id());
        let mut arns = BTreeMap::new();
        arns.insert("ACCESS_TOKEN_KEYS", public.join(","));
        arns.insert("SIGNING_KEY", service.add("signing-key-a", first));
        let key = service.add("path-token-key", path_token_key.clone());
        arns.insert("PATH_TOKEN_KEY", key);
        arns.insert("STOCK_URL", service.add("stock-url", redis.url.clone()));
        Ok(Self {
            service,
            arns,
            path_token_key,
        })
    }
}
