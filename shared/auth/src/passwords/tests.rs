use proptest::prelude::*;

use super::*;

fn ada() -> Username {
    "ada.lovelace".parse().unwrap()
}

#[tokio::test]
async fn a_password_matches_its_own_hash_only() {
    let passwords = Passwords::new(2);
    let phc = passwords.hash("difference engine").await.unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert!(Passwords::acceptable(&phc));
    assert_ne!(
        passwords.hash("difference engine").await.unwrap(),
        phc,
        "the salt is random"
    );
    assert_eq!(
        passwords.verify("difference engine", Some(&phc)).await,
        Ok(true)
    );
    assert_eq!(
        passwords.verify("analytical engine", Some(&phc)).await,
        Ok(false)
    );
}

#[tokio::test]
async fn fault_32_without_an_account_the_same_work_is_done_and_the_answer_is_no() {
    let passwords = Passwords::new(1);
    for hash in [None, Some("no PHC string"), Some("")] {
        let before = passwords.computed();
        assert_eq!(passwords.verify("difference engine", hash).await, Ok(false));
        assert_eq!(passwords.computed() - before, 1);
    }
    let nobody = Params::try_from(&PasswordHash::new(NOBODY).unwrap()).unwrap();
    assert_eq!(
        (nobody.m_cost(), nobody.t_cost(), nobody.p_cost()),
        (MEMORY_KIB, PASSES, LANES)
    );
    assert!(Passwords::acceptable(NOBODY));
}

#[tokio::test]
async fn when_the_queue_is_full_the_next_is_told_at_once() {
    let passwords = Passwords::new(1);
    let turns: Vec<Turn> = (0..=WAITING_PER_PERMIT)
        .map(|_| passwords.turn().unwrap())
        .collect();
    assert_eq!(passwords.hash("difference engine").await, Err(Error::Busy));
    assert_eq!(
        passwords.verify("difference engine", None).await,
        Err(Error::Busy)
    );
    assert_eq!(passwords.computed(), 0);
    drop(turns);
    assert_eq!(passwords.verify("difference engine", None).await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn whose_turn_does_not_come_in_time_is_told() {
    let passwords = Passwords::new(1);
    let running = Arc::clone(&passwords.running)
        .acquire_owned()
        .await
        .unwrap();
    assert_eq!(passwords.hash("difference engine").await, Err(Error::Busy));
    assert_eq!(passwords.computed(), 0);
    drop(running);
    assert_eq!(passwords.verify("difference engine", None).await, Ok(false));
}

#[test]
fn weak_passwords_are_refused() {
    let cases = [
        ("1234567", Err(WeakPassword::TooShort)),
        ("äöüäöüä", Err(WeakPassword::TooShort)),
        (&"x".repeat(129), Err(WeakPassword::TooLong)),
        ("PassWord1", Err(WeakPassword::Common)),
        ("12345678", Err(WeakPassword::Common)),
        ("Ada.Lovelace", Err(WeakPassword::IsUsername)),
        ("difference engine", Ok(())),
        (&"ä".repeat(128), Ok(())),
    ];
    for (password, expected) in cases {
        assert_eq!(Passwords::check(password, &ada()), expected, "{password}");
    }
}

#[test]
fn the_list_of_common_passwords_holds_what_can_match() {
    assert!(COMMON.lines().count() >= 500);
    for password in COMMON.lines() {
        assert!(
            (CHARS_MIN..=CHARS_MAX).contains(&password.chars().count()),
            "{password}"
        );
        assert_eq!(password, password.to_lowercase());
    }
}

#[test]
fn imported_hashes_are_no_weaker_than_ours_and_no_attack() {
    let phc = |algorithm: &str, version: &str, params: &str| {
        format!(
            "${algorithm}${version}{params}$ZlJ0c1V2bkx4Q3dQaEtkUw$6eUQ2bVRNr0dHWXqnMFyYpX0mJo3lGzT8sA5cW1uKkE"
        )
    };
    for params in [
        "m=19456,t=2,p=1",
        "m=19456,t=4,p=1",
        "m=38912,t=2,p=4",
        "m=25940,t=3,p=1",
    ] {
        assert!(
            Passwords::acceptable(&phc("argon2id", "v=19$", params)),
            "{params}"
        );
    }
    let refused = [
        phc("argon2id", "v=19$", "m=19455,t=2,p=1"),
        phc("argon2id", "v=19$", "m=19456,t=1,p=1"),
        phc("argon2id", "v=19$", "m=38913,t=2,p=1"),
        phc("argon2id", "v=19$", "m=19456,t=5,p=1"),
        phc("argon2id", "v=19$", "m=25960,t=3,p=1"),
        phc("argon2id", "v=19$", "m=65536,t=3,p=4"),
        phc("argon2id", "v=19$", "m=4194304,t=2,p=1"),
        phc("argon2id", "v=19$", "m=19456,t=1000,p=1"),
        phc("argon2id", "v=19$", "m=19456,t=2,p=64"),
        phc("argon2id", "v=16$", "m=19456,t=2,p=1"),
        phc("argon2id", "", "m=19456,t=2,p=1"),
        phc("argon2i", "v=19$", "m=19456,t=2,p=1"),
        phc("pbkdf2-sha256", "", "i=600000"),
        "$argon2id$v=19$m=19456,t=2,p=1$ZlJ0c1V2bkx4Q3dQaEtkUw".to_owned(),
        "$argon2id$v=19$m=19456,t=2,p=1".to_owned(),
        "difference engine".to_owned(),
    ];
    for phc in refused {
        assert!(!Passwords::acceptable(&phc), "{phc}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_panic(text in any::<String>()) {
        prop_assert!(!Passwords::acceptable(&text));
        let _ = Passwords::check(&text, &ada());
    }
}
