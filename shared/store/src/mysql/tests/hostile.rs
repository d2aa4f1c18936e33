//! Texts from outside: they are values and never SQL, they come back as they were, and no two of them are one.

use crate::{
    DeadLetter, DeadLetters, Error, Orders, Sessions, Spikes, Users,
    conformance::samples::{now, order_id, spike, user, user_id},
    testing::mysql_store,
};

/// Texts that mean something to a parser, a driver or a collation.
const TEXTS: [&str; 14] = [
    "' OR 1=1 -- ",
    "'; DROP TABLE orders; --",
    "\\'; DELETE FROM claims; #",
    "?",
    "a?b:c$1{}",
    "\0",
    "\u{feff}\u{202e}",
    "\u{1f45f}",
    "a",
    "A",
    "a ",
    "á",
    "%",
    "_",
];

fn corpus() -> Vec<String> {
    let lines = include_str!("../../../../domain/corpus/texts.jsonl").lines();
    let lines = lines.map(|line| serde_json::from_str(line).unwrap());
    TEXTS.map(str::to_owned).into_iter().chain(lines).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_28_texts_are_kept_as_they_are() {
    let (store, _database) = mysql_store().await;
    for text in corpus() {
        let mut account = user();
        account.display_name = Some(text.clone());
        account.attributes.insert(text.clone(), text.clone().into());
        let added = store
            .add_users(std::slice::from_ref(&account))
            .await
            .unwrap();
        assert_eq!(added, [true]);
        assert_eq!(store.user(account.id).await.unwrap(), Some(account));

        let mut sale = spike(3);
        sale.settings.description.clone_from(&text);
        assert!(store.add_spike(&sale).await.unwrap());
        assert_eq!(store.spike(sale.id).await.unwrap(), Some(sale));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_28_no_two_texts_are_one_key() {
    let (store, _database) = mysql_store().await;
    for text in TEXTS {
        assert_eq!(store.dead_letter(text).await.unwrap(), None, "{text:?}");
        assert_eq!(store.session(text, now()).await.unwrap(), None, "{text:?}");
        let letter = DeadLetter {
            id: text.into(),
            body: text.into(),
            reason: text.into(),
            received_at: now(),
            redriven_at: None,
        };
        store.add_dead_letter(&letter).await.unwrap();
        assert_eq!(store.dead_letter(text).await.unwrap(), Some(letter));
    }
    let kept = store.dead_letters_page(None, 1000).await.unwrap();
    assert_eq!(kept.items.len(), TEXTS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_28_no_text_is_a_cursor_that_breaks_a_listing() {
    let (store, _database) = mysql_store().await;
    let (user, order) = (user_id(), order_id(1));
    let fine = |what: &str, failed: Option<Error>| match failed {
        None | Some(Error::Cursor) => {}
        Some(error) => panic!("{what:?}: {error}"),
    };
    for text in corpus() {
        for kind in [
            "",
            "users.",
            "spikes.live.1.",
            "orders.",
            "refunds.1.",
            "letters.1.",
            "letters.",
        ] {
            for tail in [String::new(), format!(".{order}")] {
                let cursor = format!("{kind}{text}{tail}");
                let cursor = Some(cursor.as_str());
                fine(&text, store.users_page(cursor, 5).await.err());
                fine(&text, store.spikes_page(cursor, 5).await.err());
                fine(&text, store.orders_page(user, cursor, 5).await.err());
                fine(&text, store.refunds_page(cursor, 5).await.err());
                fine(&text, store.dead_letters_page(cursor, 5).await.err());
            }
        }
    }
}
