//! The whole of it against real stores.

use domain::{Role, Timestamp, User};
use runtime::env::Secret;
use store::testing;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn options(url: &Url, password: &str) -> Options {
    Options {
        store_url: url.clone(),
        username: "root".parse().unwrap(),
        password: Secret::new(password),
    }
}

async fn account(url: &Url) -> User {
    let store = store::connect(url).await.unwrap();
    let found = store.users_by_name(&["root".parse().unwrap()]).await;
    found.unwrap().remove(0).unwrap()
}

async fn has_password(user: &User, password: &str) -> bool {
    let passwords = auth::Passwords::new(1);
    let hash = user.password_hash.as_deref();
    passwords.verify(password, hash).await.unwrap()
}

async fn a_second_run_changes_nothing(url: &Url) {
    let first = options(url, "seven red lanterns");
    assert_eq!(run(&first, NOW).await.unwrap(), First::Made);
    let made = account(url).await;
    assert_eq!(made.roles, [Role::Admin]);
    assert!(has_password(&made, "seven red lanterns").await);

    let second = options(url, "another password");
    assert_eq!(run(&second, NOW).await.unwrap(), First::There);
    assert_eq!(account(url).await, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_changes_nothing_on_mariadb() {
    let url = testing::shared_mariadb().database().await;
    a_second_run_changes_nothing(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_changes_nothing_on_dynamodb() {
    let (_, engine) = testing::store().await;
    a_second_run_changes_nothing(engine.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_runs_at_once_one_makes_the_admin() {
    let url = testing::shared_mariadb().database().await;
    let runs = (0..4).map(|_| {
        let options = options(&url, "seven red lanterns");
        tokio::spawn(async move { run(&options, NOW).await.unwrap() })
    });
    let runs: Vec<_> = runs.collect();
    let mut made = 0;
    for run in runs {
        made += usize::from(run.await.unwrap() == First::Made);
    }
    assert_eq!(made, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registered_the_name_does_not_become_an_admin() {
    let (store, database) = testing::mysql().await;
    let stranger = User {
        roles: vec![],
        ..new_admin("root".parse().unwrap(), "$argon2id$x".into(), NOW)
    };
    assert_eq!(
        store
            .add_users(std::slice::from_ref(&stranger))
            .await
            .unwrap(),
        [true]
    );
    let refused = run(&options(database.url(), "seven red lanterns"), NOW).await;
    let refused = format!("{:#}", refused.unwrap_err());
    assert!(refused.contains("not an admin's"), "{refused}");
    assert_eq!(account(database.url()).await, stranger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weak_password_makes_no_admin() {
    let (store, database) = testing::mysql().await;
    for password in ["short", "password123", &"x".repeat(129)] {
        let refused = run(&options(database.url(), password), NOW).await;
        let refused = format!("{:#}", refused.unwrap_err());
        assert!(
            refused.contains("too weak") && !refused.contains(password),
            "{refused}"
        );
    }
    let found = store.users_by_name(&["root".parse().unwrap()]).await;
    assert_eq!(found.unwrap(), [None]);
}

#[tokio::test]
async fn a_store_that_is_no_store_is_told_without_its_password() {
    let url = "mysql://spike:geheim@127.0.0.1/db?sslmode=required"
        .parse()
        .unwrap();
    let refused = run(&options(&url, "seven red lanterns"), NOW).await;
    let refused = format!("{:#}", refused.unwrap_err());
    assert!(
        refused.contains("STORE_URL") && !refused.contains("geheim"),
        "{refused}"
    );
}
