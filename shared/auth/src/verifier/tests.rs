use std::sync::atomic::{AtomicI64, Ordering};

use domain::{Role, Timestamp, UserId};
use proptest::prelude::*;

use super::*;
use crate::testing;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn ada() -> UserId {
    UserId::mint(NOW, [1; 10])
}

/// A verifier and the hands of its clock.
fn verifier() -> (Arc<AtomicI64>, Verifier) {
    let ms = Arc::new(AtomicI64::new(NOW.as_millis()));
    let hands = Arc::clone(&ms);
    let clock: Clock = Arc::new(move || Timestamp::from_millis(hands.load(Ordering::SeqCst)));
    (
        ms,
        Verifier::new(&testing::key_set(), testing::ISSUER, clock).unwrap(),
    )
}

#[test]
fn a_token_says_who_calls() {
    let token = testing::token_for(ada(), &[Role::Admin], NOW);
    let caller = verifier().1.verify(&token).unwrap();
    assert_eq!(
        *caller,
        Caller {
            user_id: ada(),
            roles: vec![Role::Admin]
        }
    );
}

#[test]
fn fault_25_forgeries_are_refused_twice() {
    let (_, verifier) = verifier();
    for (name, token) in testing::forgeries(ada(), NOW) {
        assert_eq!(verifier.verify(&token), Err(Unauthorized), "{name}");
        assert_eq!(verifier.verify(&token), Err(Unauthorized), "{name}, again");
    }
}

#[test]
fn fault_16_a_token_is_valid_for_its_lifetime_by_the_injected_clock_give_or_take_a_minute() {
    let token = testing::token_for(ada(), &[], NOW);
    for (ms, valid) in [
        (0, true),
        (900_000, true),
        (959_999, true),
        (960_000, false),
    ] {
        // A fresh verifier looks at the claims; the one that knows the token looks at its memory first.
        let (fresh_hands, fresh) = verifier();
        let (hands, knowing) = verifier();
        knowing.verify(&token).unwrap();
        fresh_hands.fetch_add(ms, Ordering::SeqCst);
        hands.fetch_add(ms, Ordering::SeqCst);
        assert_eq!(fresh.verify(&token).is_ok(), valid, "after {ms} ms");
        assert_eq!(
            knowing.verify(&token).is_ok(),
            valid,
            "after {ms} ms, remembered"
        );
    }
}

#[test]
fn a_verified_token_is_remembered() {
    let (_, verifier) = verifier();
    let token = testing::token_for(ada(), &[], NOW);
    let (first, second) = (
        verifier.verify(&token).unwrap(),
        verifier.verify(&token).unwrap(),
    );
    assert!(Arc::ptr_eq(&first, &second));
}

#[test]
fn a_set_without_a_usable_key_makes_no_verifier() {
    let clock: Clock = Arc::new(|| NOW);
    let empty = KeySet { keys: vec![] };
    assert!(matches!(
        Verifier::new(&empty, "i", Arc::clone(&clock)),
        Err(KeyError::NoKey)
    ));
    let mut broken = testing::key_set();
    broken.keys[0].n = "%".into();
    assert!(matches!(
        Verifier::new(&broken, "i", clock),
        Err(KeyError::Rejected)
    ));
}

proptest! {
    #[test]
    fn no_text_is_a_token(text in any::<String>()) {
        prop_assert_eq!(verifier().1.verify(&text), Err(Unauthorized));
    }

    #[test]
    fn a_token_with_one_letter_changed_is_none(at in any::<prop::sample::Index>(), letter in "[A-Za-z0-9_.-]") {
        let mut token = testing::token_for(ada(), &[], NOW);
        let at = at.index(token.len());
        prop_assume!(token[at..=at] != *letter);
        token.replace_range(at..=at, &letter);
        prop_assert_eq!(verifier().1.verify(&token), Err(Unauthorized));
    }
}
