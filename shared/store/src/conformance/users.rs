//! Promises of [`crate::Users`].

use domain::{User, Username};
use futures::future::join_all;

use super::samples::{all_pages, eventually, user, user_id};
use crate::Store;

async fn add(store: &dyn Store, user: &User) -> bool {
    let added = store.add_users(std::slice::from_ref(user)).await.unwrap();
    assert_eq!(added.len(), 1);
    added[0]
}

/// Everything of an account survives, and what is not set stays unset.
pub async fn an_account_is_read_back_as_it_was_added(store: &dyn Store) {
    let full = user();
    let bare = User {
        password_hash: None,
        display_name: None,
        attributes: serde_json::Map::new(),
        roles: vec![],
        ..user()
    };
    for user in [&full, &bare] {
        assert!(add(store, user).await);
        assert_eq!(store.user(user.id).await.unwrap().as_ref(), Some(user));
    }
    assert_eq!(store.user(user_id()).await.unwrap(), None);
    assert_eq!(store.add_users(&[]).await.unwrap(), Vec::<bool>::new());
}

/// A second account of a name is refused, also in the same call; the first one's repetition is not.
pub async fn a_name_has_one_account(store: &dyn Store) {
    let first = user();
    let second = User {
        username: first.username.clone(),
        ..user()
    };
    assert!(add(store, &first).await);
    assert!(add(store, &first).await);
    assert!(!add(store, &second).await);
    assert_eq!(store.user(second.id).await.unwrap(), None);

    let third = user();
    let fourth = User {
        username: third.username.clone(),
        ..user()
    };
    assert_eq!(
        store.add_users(&[third, fourth]).await.unwrap(),
        [true, false]
    );
}

/// Of fifty at once exactly one is added.
pub async fn of_many_who_want_a_name_one_gets_it(store: &dyn Store) {
    let name = user().username;
    let users: Vec<User> = (0..50)
        .map(|_| User {
            username: name.clone(),
            ..user()
        })
        .collect();
    let added = join_all(users.iter().map(|user| add(store, user))).await;
    assert_eq!(added.iter().filter(|added| **added).count(), 1);
    let winner = added.iter().position(|added| *added).unwrap();
    let holder = store
        .users_by_name(&[name])
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!(holder, users[winner]);
}

/// Of many that come together those whose names are free are added.
pub async fn a_taken_name_does_not_harm_its_neighbours(store: &dyn Store) {
    let mut users: Vec<User> = (0..130).map(|_| user()).collect();
    for index in [0, 7, 60, 129] {
        let holder = user();
        assert!(add(store, &holder).await);
        users[index].username = holder.username;
    }
    let added = store.add_users(&users).await.unwrap();
    for (index, (user, added)) in users.iter().zip(added).enumerate() {
        assert_eq!(added, ![0, 7, 60, 129].contains(&index), "{index}");
        assert_eq!(store.user(user.id).await.unwrap().is_some(), added);
    }
}

/// Of those who change the same version one does; the id, the name and the creation stay.
pub async fn an_account_is_replaced_only_by_its_next_version(store: &dyn Store) {
    let first = user();
    assert!(add(store, &first).await);
    let next = User {
        version: 2,
        display_name: None,
        roles: vec![],
        password_hash: None,
        ..first.clone()
    };
    let rivals: Vec<User> = (0..20)
        .map(|age| {
            let attributes = serde_json::json!({ "age": age })
                .as_object()
                .unwrap()
                .clone();
            User {
                attributes,
                ..next.clone()
            }
        })
        .collect();
    let replaced = join_all(rivals.iter().map(|rival| store.replace_user(rival))).await;
    let winners: Vec<&User> = rivals
        .iter()
        .zip(&replaced)
        .filter(|(_, replaced)| *replaced.as_ref().unwrap())
        .map(|(rival, _)| rival)
        .collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(
        store.user(first.id).await.unwrap().as_ref(),
        Some(winners[0])
    );
    assert!(
        !store
            .replace_user(&User {
                version: 2,
                ..user()
            })
            .await
            .unwrap()
    );

    let renamed = User {
        version: 3,
        username: user().username,
        created_at: super::samples::later(9),
        ..first.clone()
    };
    assert!(store.replace_user(&renamed).await.unwrap());
    assert_eq!(
        store.user(first.id).await.unwrap(),
        Some(User {
            version: 3,
            ..first
        })
    );
}

/// Names are answered in their order; they may repeat and be unknown.
pub async fn accounts_are_found_by_name(store: &dyn Store) {
    let users: Vec<User> = (0..3).map(|_| user()).collect();
    store.add_users(&users).await.unwrap();
    let unknown: Username = user().username;
    let names = [
        &users[2].username,
        &unknown,
        &users[0].username,
        &users[2].username,
    ]
    .map(Clone::clone);
    let found = store.users_by_name(&names).await.unwrap();
    assert_eq!(
        found,
        [
            Some(users[2].clone()),
            None,
            Some(users[0].clone()),
            Some(users[2].clone())
        ]
    );
    assert_eq!(store.users_by_name(&[]).await.unwrap(), []);
}

/// Whatever the size of a page, every account is listed once, in one order.
pub async fn accounts_are_listed_once_each(store: &dyn Store) {
    let users: Vec<User> = (0..40).map(|_| user()).collect();
    store.add_users(&users).await.unwrap();
    let mut orders = Vec::new();
    for limit in [1, 7, 1000] {
        let read = async || {
            all_pages(limit, async |cursor, limit| {
                store.users_page(cursor.as_deref(), limit).await
            })
            .await
        };
        let ours = |all: &Vec<User>| all.iter().filter(|user| users.contains(user)).count();
        let all = eventually(read, |all| ours(all) == users.len()).await;
        orders.push(
            all.into_iter()
                .filter(|user| users.contains(user))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(orders[0], orders[1]);
    assert_eq!(orders[1], orders[2]);
}
