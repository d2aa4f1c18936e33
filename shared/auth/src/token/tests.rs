use proptest::prelude::*;

use super::*;
use crate::testing;

#[test]
fn the_subject_of_a_token_is_read_without_its_signature() {
    let now = Timestamp::from_millis(1_800_000_000_000);
    let user_id = UserId::mint(now, [1; 10]);
    let token = testing::token_for(user_id, &[], now);
    assert_eq!(unverified_subject(&token), Some(user_id));
    assert_eq!(
        unverified_subject(token.rsplit_once('.').unwrap().0),
        Some(user_id)
    );
    assert_eq!(
        unverified_subject(&format!("{token}{}", "A".repeat(MAX_BYTES))),
        None
    );
    assert_eq!(unverified_subject("a.%.c"), None);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>(), payload in any::<Vec<u8>>()) {
        prop_assert_eq!(unverified_subject(&text), None);
        prop_assert_eq!(unverified_subject(&format!("h.{}.s", URL_SAFE_NO_PAD.encode(payload))), None);
    }
}
