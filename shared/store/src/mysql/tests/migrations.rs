//! The schema's versions.

use futures::future::join_all;

use super::{super::PATIENT, *};
use crate::{MigrateError, Spikes, testing::shared_mariadb};

async fn empty() -> (MySqlStore, MySqlConnection) {
    let url = shared_mariadb().database().await;
    let beside = connection(&url).await;
    (MySqlStore::lazily(&url, PATIENT).unwrap(), beside)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_applies_nothing() {
    let (store, mut beside) = empty().await;
    assert_eq!(store.migrate().await.unwrap(), [1]);
    assert!(store.migrate().await.unwrap().is_empty());
    assert_eq!(
        count(&mut beside, "SELECT COUNT(*) FROM schema_versions").await,
        1
    );
    assert_eq!(store.live_spikes().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_runs_at_once_one_applies() {
    let (store, _beside) = empty().await;
    let runs = join_all((0..6).map(|_| store.migrate())).await;
    let mut applied: Vec<Vec<u32>> = runs.into_iter().map(Result::unwrap).collect();
    applied.sort();
    assert_eq!(applied, [vec![], vec![], vec![], vec![], vec![], vec![1]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_cut_off_is_finished_by_the_next() {
    let (store, mut beside) = empty().await;
    store.migrate().await.unwrap();
    // As if it had been killed after the first tables.
    run(&mut beside, "DROP TABLE orders, claims, dead_letters").await;
    run(&mut beside, "DELETE FROM schema_versions").await;
    assert_eq!(store.migrate().await.unwrap(), [1]);
    assert_eq!(count(&mut beside, "SELECT COUNT(*) FROM claims").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_schema_is_left_alone() {
    let (store, mut beside) = empty().await;
    store.migrate().await.unwrap();
    run(
        &mut beside,
        "INSERT INTO schema_versions (version) VALUES (1000)",
    )
    .await;
    assert!(matches!(
        store.migrate().await,
        Err(MigrateError::Newer(1000))
    ));
}

/// Until the tables are made the store is away, as far as functions can tell.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_not_there_yet_are_waited_for() {
    let (store, _beside) = empty().await;
    let hasty = MySqlStore {
        patience: USUAL,
        ..store
    };
    let answer = hasty.live_spikes().await;
    assert!(
        matches!(answer, Err(crate::Error::Unavailable(_))),
        "{answer:?}"
    );
    hasty.migrate().await.unwrap();
    assert_eq!(hasty.live_spikes().await.unwrap(), []);
}
