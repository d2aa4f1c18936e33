//! Promises of [`crate::DeadLetters`].

use super::samples::{all_pages, eventually, later};
use crate::{DeadLetter, Store};

fn letter(ms: u64) -> DeadLetter {
    DeadLetter {
        id: format!("{:032x}", rand::random::<u128>()),
        body: "{ not json \u{1f45f} ' or 1=1".into(),
        reason: String::new(),
        received_at: later(ms),
        redriven_at: None,
    }
}

/// A letter that comes twice stays as it was; that it was sent again is noted.
pub async fn a_letter_is_kept_once(store: &dyn Store) {
    let letter = letter(1);
    assert_eq!(store.dead_letter(&letter.id).await.unwrap(), None);
    assert!(!store.mark_redriven(&letter.id, later(2)).await.unwrap());
    assert_eq!(store.dead_letter(&letter.id).await.unwrap(), None);
    store.add_dead_letter(&letter).await.unwrap();
    assert_eq!(
        store.dead_letter(&letter.id).await.unwrap().as_ref(),
        Some(&letter)
    );
    let again = DeadLetter {
        received_at: later(2),
        reason: "once more".into(),
        ..letter.clone()
    };
    store.add_dead_letter(&again).await.unwrap();
    assert_eq!(
        store.dead_letter(&letter.id).await.unwrap().as_ref(),
        Some(&letter)
    );
    assert!(store.mark_redriven(&letter.id, later(2)).await.unwrap());
    let redriven = DeadLetter {
        redriven_at: Some(later(2)),
        ..letter.clone()
    };
    assert_eq!(store.dead_letter(&letter.id).await.unwrap(), Some(redriven));

    let empty = DeadLetter {
        id: format!("{}-empty", letter.id),
        body: String::new(),
        ..letter
    };
    store.add_dead_letter(&empty).await.unwrap();
    assert_eq!(store.dead_letter(&empty.id).await.unwrap(), Some(empty));
}

/// A letter that was sent again and comes back is as undelivered as before, even where it comes back before the sending
/// is noted.
pub async fn a_letter_that_comes_back_is_undelivered(store: &dyn Store) {
    let first = letter(1);
    store.add_dead_letter(&first).await.unwrap();
    assert!(store.mark_redriven(&first.id, later(2)).await.unwrap());
    let back = DeadLetter {
        received_at: later(9),
        reason: "refused again".into(),
        ..first.clone()
    };
    store.add_dead_letter(&back).await.unwrap();
    let undelivered = DeadLetter {
        reason: "refused again".into(),
        ..first.clone()
    };
    assert_eq!(
        store.dead_letter(&first.id).await.unwrap().as_ref(),
        Some(&undelivered)
    );
    assert!(!store.mark_redriven(&first.id, later(8)).await.unwrap());
    assert_eq!(
        store.dead_letter(&first.id).await.unwrap(),
        Some(undelivered)
    );
    assert!(store.mark_redriven(&first.id, later(9)).await.unwrap());
}

/// The latest letters come first, whatever the size of a page and of the letters.
pub async fn letters_are_listed_newest_first(store: &dyn Store) {
    let mut expected = Vec::new();
    for ms in 1..=13 {
        let letter = DeadLetter {
            body: "x".repeat(256 * 1024),
            ..letter(ms)
        };
        store.add_dead_letter(&letter).await.unwrap();
        expected.insert(0, letter);
    }
    for limit in [1, 6, 13, 1000] {
        let pages = async |cursor: Option<String>, limit| {
            store.dead_letters_page(cursor.as_deref(), limit).await
        };
        let ours = async || {
            let all = all_pages(limit, pages).await;
            all.into_iter()
                .filter(|letter| expected.contains(letter))
                .map(|letter| letter.id)
                .collect::<Vec<_>>()
        };
        let ids: Vec<String> = expected.iter().map(|letter| letter.id.clone()).collect();
        eventually(ours, |all| *all == ids).await;
    }
}
