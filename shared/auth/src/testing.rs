//! Keys, tokens and forgeries for tests. Nothing here is built into a function.
#![expect(
    clippy::expect_used,
    reason = "tests that cannot make a key have failed"
)]
#![expect(
    clippy::missing_panics_doc,
    reason = "tests that cannot make a key have failed"
)]

use std::sync::{Arc, LazyLock};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Clock, Role, Timestamp, UserId};
use serde_json::{Value, json};

use crate::{Authenticator, Caller, KeySet, SigningKey, Verifier, token::MAX_BYTES};

/// The issuer of test tokens.
pub const ISSUER: &str = "http://localhost";

static OURS: LazyLock<SigningKey> = LazyLock::new(new_key);
static THEIRS: LazyLock<SigningKey> = LazyLock::new(new_key);

/// A fresh key that signs for [`ISSUER`].
#[must_use]
pub fn new_key() -> SigningKey {
    let pem = SigningKey::generate_pem().expect("a key is made");
    SigningKey::from_pem(&pem, ISSUER).expect("a made key is read")
}

/// The process' signing key, made once.
#[must_use]
pub fn signing_key() -> &'static SigningKey {
    &OURS
}

/// The set with the public half of [`signing_key`], as `ACCESS_TOKEN_KEYS` carries it.
#[must_use]
pub fn key_set() -> KeySet {
    KeySet {
        keys: vec![OURS.jwk()],
    }
}

/// Accepts what [`token_for`] makes.
#[must_use]
pub fn authenticator(clock: Clock) -> Authenticator {
    let verifier = Verifier::new(&key_set(), ISSUER, clock).expect("the test key is accepted");
    Authenticator {
        verifier: Arc::new(verifier),
    }
}

/// A valid token, 15 minutes from `now`.
#[must_use]
pub fn token_for(user_id: UserId, roles: &[Role], now: Timestamp) -> String {
    OURS.sign(
        &Caller {
            user_id,
            roles: roles.to_vec(),
        },
        now,
    )
    .expect("a token is signed")
}

/// What attackers send instead of a token, each with its name. All of them get the same 401.
#[must_use]
pub fn forgeries(user_id: UserId, now: Timestamp) -> Vec<(&'static str, String)> {
    forgeries_of(&OURS, user_id, now)
}

/// The same for verifiers of another key: each is a good token of `ours` but for what its name says.
#[must_use]
pub fn forgeries_of(
    ours: &SigningKey,
    user_id: UserId,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let mut forged = forged_headers(ours, user_id, now);
    forged.extend(forged_claims(ours, user_id, now));
    forged.extend(damaged(ours, user_id, now));
    forged
}

fn header(ours: &SigningKey) -> Value {
    json!({"typ": "at+jwt", "alg": "RS256", "kid": ours.kid()})
}

fn claims(ours: &SigningKey, user_id: UserId, now: Timestamp) -> Value {
    let now = now.as_secs();
    json!({
        "iss": ours.issuer(), "aud": "spike", "sub": user_id, "iat": now, "exp": now + 900, "jti": "j", "roles": ["admin"],
    })
}

/// `base` with the members of `changes`; a `null` takes the member away.
fn with(mut base: Value, changes: Value) -> Value {
    let (Value::Object(members), Value::Object(changes)) = (&mut base, changes) else {
        return base;
    };
    for (name, value) in changes {
        if value == json!("REMOVE") {
            members.remove(&name);
        } else {
            members.insert(name, value);
        }
    }
    base
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Signs any header and any claims with one of the test keys.
fn seal(key: &SigningKey, header: &Value, claims: &Value) -> String {
    key.seal(&part(header), &part(claims))
        .expect("a token is signed")
}

fn forged_headers(
    key: &SigningKey,
    user_id: UserId,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let claims = claims(key, user_id, now);
    let header = || header(key);
    let ours = |changes: Value| seal(key, &with(header(), changes), &claims);
    let theirs = |changes: Value| seal(&THEIRS, &with(header(), changes), &claims);
    let unsigned = |alg: &str| {
        format!(
            "{}.{}.",
            part(&with(header(), json!({"alg": alg}))),
            part(&claims)
        )
    };
    let hs256 = |secret: &[u8]| {
        let message = format!(
            "{}.{}",
            part(&with(header(), json!({"alg": "HS256"}))),
            part(&claims)
        );
        let mac = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, secret),
            message.as_bytes(),
        );
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac))
    };
    let public_pem = key.public_pem().expect("the public key is written");
    vec![
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("RS256 without a signature", unsigned("RS256")),
        ("HS256 with the public PEM", hs256(public_pem.as_bytes())),
        ("HS256 with the modulus", hs256(key.jwk().n.as_bytes())),
        ("HS256 with nothing", hs256(b"")),
        ("alg RS512", ours(json!({"alg": "RS512"}))),
        ("alg missing", ours(json!({"alg": "REMOVE"}))),
        ("forged role", theirs(json!({}))),
        ("kid of nobody", theirs(json!({"kid": THEIRS.kid()}))),
        (
            "kid with a path",
            ours(json!({"kid": "../../../../dev/null"})),
        ),
        (
            "kid with SQL",
            ours(json!({"kid": "' UNION SELECT 'key' --"})),
        ),
        ("kid missing", ours(json!({"kid": "REMOVE"}))),
        ("kid that is a number", ours(json!({"kid": 1}))),
        ("jwk of the attacker", theirs(json!({"jwk": THEIRS.jwk()}))),
        (
            "jku of the attacker",
            theirs(json!({"jku": "http://127.0.0.1:1/jwks.json"})),
        ),
        (
            "x5u of the attacker",
            theirs(json!({"x5u": "http://127.0.0.1:1/chain.pem"})),
        ),
        ("typ JWT", ours(json!({"typ": "JWT"}))),
        ("typ missing", ours(json!({"typ": "REMOVE"}))),
        (
            "crit that nobody understands",
            ours(json!({"crit": ["exp"]})),
        ),
    ]
}

fn forged_claims(key: &SigningKey, user_id: UserId, now: Timestamp) -> Vec<(&'static str, String)> {
    let base = claims(key, user_id, now);
    let now = now.as_secs();
    let changed = |changes: Value| seal(key, &header(key), &with(base.clone(), changes));
    vec![
        ("aud of another", changed(json!({"aud": "spikes"}))),
        ("aud that is a list", changed(json!({"aud": ["spike"]}))),
        ("aud missing", changed(json!({"aud": "REMOVE"}))),
        (
            "iss of another",
            changed(json!({"iss": "http://localhost.attacker.example"})),
        ),
        ("iss missing", changed(json!({"iss": "REMOVE"}))),
        ("expired", changed(json!({"exp": now - 61}))),
        ("exp missing", changed(json!({"exp": "REMOVE"}))),
        (
            "exp that is a text",
            changed(json!({"exp": (now + 900).to_string()})),
        ),
        ("exp below all numbers", changed(json!({"exp": i64::MIN}))),
        ("nbf to come", changed(json!({"nbf": now + 900}))),
        (
            "nbf that is a text",
            changed(json!({"nbf": (now - 900).to_string()})),
        ),
        ("nbf that is null", changed(json!({"nbf": null}))),
        ("sub that is no id", changed(json!({"sub": "admin"}))),
        ("sub missing", changed(json!({"sub": "REMOVE"}))),
        (
            "a role that nobody knows",
            changed(json!({"roles": ["root"]})),
        ),
        (
            "8 kB",
            changed(json!({"padding": "x".repeat(2 * MAX_BYTES)})),
        ),
    ]
}

fn damaged(key: &SigningKey, user_id: UserId, now: Timestamp) -> Vec<(&'static str, String)> {
    let caller = Caller {
        user_id,
        roles: Vec::new(),
    };
    let good = key.sign(&caller, now).expect("a token is signed");
    let (message, signature) = good.rsplit_once('.').expect("a token has three parts");
    let (head, _) = message.split_once('.').expect("a token has three parts");
    let promoted = part(&claims(key, user_id, now));
    let nested = URL_SAFE_NO_PAD.encode("[".repeat(2000));
    vec![
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("no signature", message.to_owned()),
        ("a part too many", format!("{good}.{signature}")),
        ("claims exchanged", format!("{head}.{promoted}.{signature}")),
        ("signature with padding", format!("{good}==")),
        ("signature cut", good[..good.len() - 4].to_owned()),
        ("deep nesting", format!("{head}.{nested}.{signature}")),
        ("not base64", format!("{head}.%%%.{signature}")),
    ]
}
