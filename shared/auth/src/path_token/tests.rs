use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_030_000);

fn tokens() -> PathTokens {
    PathTokens::new(&[7; 32]).unwrap()
}

fn spike(n: u8) -> SpikeId {
    SpikeId::mint(NOW, [n; 10])
}

fn user(n: u8) -> UserId {
    UserId::mint(NOW, [n; 10])
}

#[test]
fn a_token_belongs_to_one_spike_one_user_and_one_key() {
    let token = tokens().token(spike(1), user(1), NOW);
    assert_eq!(token.len(), 22);
    assert!(tokens().verify(spike(1), user(1), NOW, &token));
    assert!(!tokens().verify(spike(2), user(1), NOW, &token));
    assert!(!tokens().verify(spike(1), user(2), NOW, &token));
    assert!(
        !PathTokens::new(&[8; 32])
            .unwrap()
            .verify(spike(1), user(1), NOW, &token)
    );
}

#[test]
fn fault_16_a_token_is_good_in_its_window_and_its_neighbours() {
    let token = tokens().token(spike(1), user(1), NOW);
    for (window, good) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
        let then = Timestamp::from_millis(NOW.as_millis() + window * WINDOW_MS);
        assert_eq!(
            tokens().verify(spike(1), user(1), then, &token),
            good,
            "{window} windows later"
        );
    }
}

#[test]
fn a_token_is_valid_until_the_end_of_the_next_window() {
    let token = tokens().token(spike(1), user(1), NOW);
    let end = PathTokens::valid_until(NOW);
    assert_eq!(end.as_millis(), 1_800_000_120_000);
    let last = Timestamp::from_millis(end.as_millis() - 1);
    assert!(tokens().verify(spike(1), user(1), last, &token));
    assert!(!tokens().verify(spike(1), user(1), end, &token));
}

#[test]
fn a_short_secret_is_refused() {
    assert!(matches!(
        PathTokens::new(&[7; 31]),
        Err(KeyError::ShortSecret)
    ));
    assert!(matches!(PathTokens::new(b""), Err(KeyError::ShortSecret)));
}

proptest! {
    #[test]
    fn fault_31_no_other_text_is_the_token(guess in any::<String>(), bytes in any::<[u8; TOKEN_BYTES]>()) {
        let token = tokens().token(spike(1), user(1), NOW);
        for guess in [guess, URL_SAFE_NO_PAD.encode(bytes), format!("{token}="), format!("{token}AA"), token[..21].to_owned()] {
            prop_assert!(!tokens().verify(spike(1), user(1), NOW, &guess));
        }
    }
}
