use proptest::prelude::*;

use super::*;

#[test]
fn tokens_differ_and_so_do_their_hashes() {
    let (one, two) = (mint(), mint());
    assert_eq!((one.text.len(), one.hash.len()), (43, 64));
    assert_ne!(one.text, two.text);
    assert_ne!(one.hash, two.hash);
    assert_eq!(hash(&one.text), Some(one.hash));
}

#[test]
fn the_hash_is_sha_256_of_the_bytes() {
    let token = URL_SAFE_NO_PAD.encode([0; TOKEN_BYTES]);
    let expected = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
    assert_eq!(hash(&token).as_deref(), Some(expected));
}

proptest! {
    #[test]
    fn only_what_was_minted_has_a_hash(text in any::<String>(), bytes in any::<[u8; TOKEN_BYTES]>()) {
        prop_assert_eq!(hash(&text), None);
        let token = URL_SAFE_NO_PAD.encode(bytes);
        prop_assert!(hash(&token).is_some());
        for text in [format!("{token}="), format!("{token}A"), format!(" {token}"), token[1..].to_owned()] {
            prop_assert_eq!(hash(&text), None);
        }
    }
}
