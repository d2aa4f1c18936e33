use std::sync::Arc;

use domain::UserId;
use proptest::prelude::*;

use super::*;
use crate::{Verifier, testing};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn caller() -> Caller {
    Caller {
        user_id: UserId::mint(NOW, [3; 10]),
        roles: vec![],
    }
}

/// What an operator makes for a cluster (`docs/knative.md`) is what the functions read.
#[test]
fn keys_that_the_script_makes_are_read_and_belong_together() {
    let folder = std::env::temp_dir().join(format!("spike-keys-{}", std::process::id()));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/signing-keys");
    let made = std::process::Command::new(script).arg(&folder).output();
    assert!(made.unwrap().status.success());
    let read = |name| std::fs::read_to_string(folder.join(name)).unwrap();
    let key = SigningKey::from_pem(&read("signing-key.pem"), "http://localhost").unwrap();
    let keys = KeySet::parse(&read("jwks.json")).unwrap().keys;
    let path_token_key = read("path-token-key");
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(keys, [key.jwk()]);
    assert!(crate::PathTokens::new(path_token_key.trim_end().as_bytes()).is_ok());
}

#[test]
fn a_key_survives_its_pem_and_its_id_is_its_thumbprint() {
    let pem = SigningKey::generate_pem().unwrap();
    let key = SigningKey::from_pem(&pem, "http://localhost").unwrap();
    let again = SigningKey::from_pem(
        &format!("\n{}\r\n", pem.replace('\n', "\r\n")),
        "http://localhost",
    )
    .unwrap();
    assert_eq!(key.jwk(), again.jwk());
    assert_eq!(key.kid().len(), 43);
    assert_eq!(key.jwk().e, "AQAB");
    assert!(
        key.public_pem()
            .unwrap()
            .starts_with("-----BEGIN PUBLIC KEY-----\n")
    );
    assert!(pem.lines().all(|line| line.len() <= PEM_COLUMNS));
}

/// What Terraform makes for AWS (ADR 25).
#[test]
fn public_keys_in_pem_are_a_set_with_the_ids_of_their_private_halves() {
    let keys = [(); 2].map(|()| {
        let pem = SigningKey::generate_pem().unwrap();
        SigningKey::from_pem(&pem, "http://localhost").unwrap()
    });
    let pems = keys.each_ref().map(|key| key.public_pem().unwrap());
    for joined in [
        pems.concat(),
        pems.join("\r\n"),
        format!("\n{}\n", pems.join("\n\n")),
    ] {
        assert_eq!(
            KeySet::parse(&joined).unwrap().keys,
            keys.each_ref().map(SigningKey::jwk)
        );
    }
    let private = SigningKey::generate_pem().unwrap();
    let cut = &pems[0][..pems[0].len() - 40];
    let other = pems[0].replace("MIIB", "AAAA");
    for wrong in [
        &format!("{}{private}", pems[0]),
        cut,
        &other,
        &format!("{}x", pems[0]),
    ] {
        let error = KeySet::parse(wrong).unwrap_err();
        assert!(
            matches!(error, KeyError::NotPublicPem | KeyError::Rejected),
            "{error}"
        );
    }
    assert!(matches!(
        KeySet::parse(&private),
        Err(KeyError::NotKeySet(_))
    ));
}

#[test]
fn the_set_survives_its_json_and_other_keys_are_left_out() {
    let key = testing::signing_key().jwk();
    let json = serde_json::json!({"keys": [
        {"kty": "EC", "crv": "P-256", "kid": "ec", "x": "AA", "y": "AA"},
        {"kty": "RSA", "use": "enc", "alg": "RS256", "kid": "encryption", "n": key.n, "e": key.e},
        {"kty": "RSA", "use": "sig", "alg": "RS512", "kid": "other", "n": key.n, "e": key.e},
        serde_json::to_value(&key).unwrap(),
    ]});
    assert_eq!(KeySet::parse(&json.to_string()).unwrap().keys, [key]);
    assert!(matches!(
        KeySet::parse("{\"keys\": []}"),
        Err(KeyError::NoKey)
    ));
    assert!(matches!(KeySet::parse("[]"), Err(KeyError::NotKeySet(_))));
}

#[test]
fn what_is_no_key_is_refused() {
    let public = testing::signing_key().public_pem().unwrap();
    for text in [
        "",
        "hunter2",
        &public,
        "-----BEGIN PRIVATE KEY-----\n%%%\n-----END PRIVATE KEY-----",
    ] {
        assert!(
            matches!(SigningKey::from_pem(text, "i"), Err(KeyError::NotPem)),
            "{text}"
        );
    }
    let garbage = write_pem(b"no key at all", PRIVATE_LABEL);
    assert!(matches!(
        SigningKey::from_pem(&garbage, "i"),
        Err(KeyError::Rejected)
    ));
}

#[test]
fn tokens_of_the_old_and_the_new_key_are_valid_while_the_set_holds_both() {
    let (old, new) = (testing::signing_key(), testing::new_key());
    let verifier =
        |keys| Verifier::new(&KeySet { keys }, testing::ISSUER, Arc::new(|| NOW)).unwrap();
    let (from_old, from_new) = (
        old.sign(&caller(), NOW).unwrap(),
        new.sign(&caller(), NOW).unwrap(),
    );
    let both = verifier(vec![old.jwk(), new.jwk()]);
    assert_eq!(*both.verify(&from_old).unwrap(), caller());
    assert_eq!(*both.verify(&from_new).unwrap(), caller());
    let rotated = verifier(vec![new.jwk()]);
    assert!(rotated.verify(&from_old).is_err());
    assert!(rotated.verify(&from_new).is_ok());
}

#[test]
fn a_token_has_the_header_and_claims_of_rfc_9068() {
    let token = testing::token_for(caller().user_id, &[domain::Role::Admin], NOW);
    let mut parts = token.split('.').map(|part| {
        serde_json::from_slice::<serde_json::Value>(&URL_SAFE_NO_PAD.decode(part).unwrap())
            .unwrap_or_default()
    });
    let header = parts.next().unwrap();
    assert_eq!(
        header,
        serde_json::json!({"typ": "at+jwt", "alg": "RS256", "kid": testing::signing_key().kid()})
    );
    let claims = parts.next().unwrap();
    assert_eq!(claims["iss"], testing::ISSUER);
    assert_eq!(claims["aud"], "spike");
    assert_eq!(claims["sub"], caller().user_id.to_string());
    assert_eq!(claims["iat"], 1_800_000_000);
    assert_eq!(claims["exp"], 1_800_000_900);
    assert_eq!(claims["roles"], serde_json::json!(["admin"]));
    assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
    assert!(claims.get("nbf").is_none());
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_panic(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let _ = KeySet::parse(&text);
        prop_assert!(SigningKey::from_pem(&text, "i").is_err());
        prop_assert_eq!(read_pem(&write_pem(&bytes, PUBLIC_LABEL), PUBLIC_LABEL), Some(bytes));
    }
}
