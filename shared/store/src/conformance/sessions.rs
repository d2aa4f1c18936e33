//! Promises of [`crate::Sessions`].

use std::time::Duration;

use futures::future::join_all;

use super::samples::{later, now, user, user_id};
use crate::{LoginAttempts, Rotation, Session, Store};

fn session() -> Session {
    Session {
        token_hash: format!("{:032x}", rand::random::<u128>()),
        family: format!("{:032x}", rand::random::<u128>()),
        user_id: user_id(),
        credentials_version: 3,
        expires_at: later(1000),
    }
}

fn successor(session: &Session) -> Session {
    Session {
        token_hash: self::session().token_hash,
        expires_at: later(2000),
        ..session.clone()
    }
}

async fn open(store: &dyn Store) -> Session {
    let session = session();
    store.open_session(&session).await.unwrap();
    session
}

/// A token is known until it expires, and is exchanged for its successor.
pub async fn a_token_rotates_once(store: &dyn Store) {
    let first = open(store).await;
    assert_eq!(
        store.session(&first.token_hash, now()).await.unwrap(),
        Some(first.clone())
    );
    assert_eq!(
        store
            .session(&first.token_hash, first.expires_at)
            .await
            .unwrap(),
        None
    );
    assert_eq!(store.session("unknown", now()).await.unwrap(), None);

    let second = successor(&first);
    let rotate = |token: &str, now| {
        let (token, next) = (token.to_owned(), second.clone());
        async move { store.rotate_session(&token, &next, now).await.unwrap() }
    };
    assert_eq!(rotate("unknown", now()).await, Rotation::Unknown);
    assert_eq!(
        rotate(&first.token_hash, first.expires_at).await,
        Rotation::Unknown
    );
    assert_eq!(rotate(&first.token_hash, now()).await, Rotation::Rotated);
    assert_eq!(
        store
            .session(&second.token_hash, later(1500))
            .await
            .unwrap(),
        Some(second.clone())
    );
    assert_eq!(
        store.session(&first.token_hash, now()).await.unwrap(),
        Some(first)
    );
}

/// Whoever hands in a spent token ends the whole family, and no other.
pub async fn fault_26_a_spent_token_revokes_its_family(store: &dyn Store) {
    let (first, other) = (open(store).await, open(store).await);
    let second = successor(&first);
    let rotate = async |token: &Session| {
        store
            .rotate_session(&token.token_hash, &successor(token), now())
            .await
            .unwrap()
    };
    assert_eq!(
        store
            .rotate_session(&first.token_hash, &second, now())
            .await
            .unwrap(),
        Rotation::Rotated
    );
    assert_eq!(rotate(&first).await, Rotation::Reused(first.user_id));
    assert_eq!(rotate(&first).await, Rotation::Revoked);
    assert_eq!(rotate(&second).await, Rotation::Revoked);
    assert_eq!(rotate(&other).await, Rotation::Rotated);
}

/// Of twenty at once one rotates; one finds the token spent, and to the others the family is revoked.
pub async fn a_token_raced_for_rotates_once(store: &dyn Store) {
    for _ in 0..10 {
        let first = open(store).await;
        let rivals: Vec<Session> = (0..20).map(|_| successor(&first)).collect();
        let rotations = rivals
            .iter()
            .map(|next| store.rotate_session(&first.token_hash, next, now()));
        let answers: Vec<Rotation> = join_all(rotations)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let count = |wanted| answers.iter().filter(|answer| **answer == wanted).count();
        assert_eq!(
            (
                count(Rotation::Rotated),
                count(Rotation::Reused(first.user_id))
            ),
            (1, 1)
        );
        assert_eq!(count(Rotation::Revoked), 18);
        for (rival, answer) in rivals.iter().zip(&answers) {
            let kept = store
                .session(&rival.token_hash, now())
                .await
                .unwrap()
                .is_some();
            assert_eq!(kept, *answer == Rotation::Rotated);
            let next = store
                .rotate_session(&rival.token_hash, &successor(rival), now())
                .await
                .unwrap();
            assert_eq!(
                next,
                if kept {
                    Rotation::Revoked
                } else {
                    Rotation::Unknown
                }
            );
        }
    }
}

/// After a log-out no token of the family rotates; log-outs can be repeated.
pub async fn a_revoked_session_is_over(store: &dyn Store) {
    let first = open(store).await;
    let second = successor(&first);
    store
        .rotate_session(&first.token_hash, &second, now())
        .await
        .unwrap();
    for token in ["unknown", &first.token_hash, &first.token_hash] {
        store.revoke_session(token, now()).await.unwrap();
    }
    let answer = store
        .rotate_session(&second.token_hash, &successor(&second), now())
        .await
        .unwrap();
    assert_eq!(answer, Rotation::Revoked);
}

/// Failures add up, lapse a day after the last, and are forgotten by a success.
pub async fn failed_logins_are_counted_for_a_day(store: &dyn Store) {
    let name = user().username;
    let attempts = |failures, at| LoginAttempts {
        failures,
        last_failed_at: Some(at),
    };
    let none = LoginAttempts::default();
    let count = |seen, at| store.count_failed_login(&name, seen, at);
    assert_eq!(store.login_attempts(&name, now()).await.unwrap(), none);
    assert!(count(none, now()).await.unwrap());
    assert!(count(attempts(1, now()), later(5)).await.unwrap());
    assert_eq!(
        store.login_attempts(&name, later(6)).await.unwrap(),
        attempts(2, later(5))
    );

    let next_day = later(5) + Duration::from_hours(24);
    assert_eq!(store.login_attempts(&name, next_day).await.unwrap(), none);
    assert!(count(none, next_day).await.unwrap());
    assert_eq!(
        store.login_attempts(&name, next_day).await.unwrap(),
        attempts(1, next_day)
    );

    store.clear_failed_logins(&name).await.unwrap();
    store.clear_failed_logins(&name).await.unwrap();
    assert_eq!(store.login_attempts(&name, next_day).await.unwrap(), none);
}

/// Whoever saw another count than there is does not count; of many who saw the same one does, the first of a day as well.
pub async fn of_many_who_saw_the_same_failures_one_counts(store: &dyn Store) {
    let name = user().username;
    let mut at = now();
    for failures in 1..=3 {
        let seen = store.login_attempts(&name, at).await.unwrap();
        at = at + Duration::from_millis(1);
        let counted = join_all((0..20).map(|_| store.count_failed_login(&name, seen, at))).await;
        let counted = counted
            .into_iter()
            .filter(|counted| *counted.as_ref().unwrap());
        assert_eq!(counted.count(), 1);
        let sum = LoginAttempts {
            failures,
            last_failed_at: Some(at),
        };
        assert_eq!(store.login_attempts(&name, at).await.unwrap(), sum);
    }
    let next_day = at + Duration::from_hours(25);
    let none = LoginAttempts::default();
    let counted = join_all((0..20).map(|_| store.count_failed_login(&name, none, next_day))).await;
    let counted = counted
        .into_iter()
        .filter(|counted| *counted.as_ref().unwrap());
    assert_eq!(counted.count(), 1);
}
