//! A cursor comes back from outside: whatever it is, it is one that a page handed out, or it is refused.

use proptest::{
    prelude::*,
    test_runner::{FileFailurePersistence, TestRunner},
};

use crate::{
    DeadLetters, Error, Orders, Spikes, Users,
    conformance::samples::{order_id, user_id},
};

fn corpus() -> Vec<String> {
    let lines = include_str!("../../../../domain/corpus/texts.jsonl").lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Texts, and texts that are nearly cursors.
fn cursors() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "users", "spikes", "orders", "refunds", "letters", "live", "past", "",
    ]);
    let id = Just(order_id(1).to_string());
    let part = prop_oneof![
        id,
        "[-+]?[0-9]{1,20}",
        prop::sample::select(corpus()),
        any::<String>(),
    ];
    let parts = prop::collection::vec(part, 0..4);
    prop_oneof![
        3 => (kind, parts).prop_map(|(kind, parts)| format!("{kind}.{}", parts.join("."))),
        1 => prop::sample::select(corpus()),
    ]
}

#[test]
fn fault_28_no_text_is_a_cursor_that_breaks_a_listing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (store, _guard) = runtime.block_on(crate::testing::dynamo_store());
    let user = user_id();
    let refused_or_read = |what: &str, failed: Option<Error>| match failed {
        None | Some(Error::Cursor) => Ok(()),
        Some(error) => Err(TestCaseError::fail(format!("{what}: {error}"))),
    };
    let config = ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::SourceParallel(
            "proptest-regressions",
        ))),
        source_file: Some(file!()),
        ..ProptestConfig::default()
    };
    let ask = |cursor: String| {
        let cursor = Some(cursor.as_str());
        runtime.block_on(async {
            refused_or_read("users", store.users_page(cursor, 5).await.err())?;
            refused_or_read("spikes", store.spikes_page(cursor, 5).await.err())?;
            refused_or_read("orders", store.orders_page(user, cursor, 5).await.err())?;
            refused_or_read("refunds", store.refunds_page(cursor, 5).await.err())?;
            refused_or_read("letters", store.dead_letters_page(cursor, 5).await.err())
        })
    };
    TestRunner::new(config).run(&cursors(), ask).unwrap();
}
