//! No call reads a whole table or index, however many rows there are: the server's own log of statements that use no index
//! stays empty.

use domain::order::{Refund, Transition};

use super::{super::PATIENT, *};
use crate::{
    DeadLetter, LoginAttempts, Mark, Session, Store,
    conformance::samples::{later, now, payment, placed, spike, user},
    testing::{mariadb_with, mysql_store_at},
};

/// So many rows, whose keys are numbers.
const ROWS: &str = "(SELECT UNHEX(LPAD(HEX(seq), 32, '0')) AS k, seq AS n \
                    FROM seq_1_to_3000) r";

/// Enough of everything for an index to be worth it; most spikes are past, and most orders not due.
async fn fill(beside: &mut MySqlConnection) {
    for (columns, table) in [
        ("k, k, NULL, 1, NULL, '{}', '[]', 1, n", "users"),
        ("k, k, k, 1, 9e15 + n, ''", "session_tokens"),
        ("k, 9e15 + n, ''", "session_families"),
        ("k, 1, 9e15 + n", "login_attempts"),
        ("k, 1, '{}', 5, n, 0, 5, 0, 1, 1, 1, n", "spikes"),
        (
            "k, k, k, 1, '1', 'paid', NULL, 1, 'EUR', n, n, NULL, NULL, NULL, NULL, 0, NULL, k, ''",
            "orders",
        ),
        ("k, 2, x'00000001', k, k", "claims"),
        ("CONCAT('letter-', n), 'b', 'r', n, n, NULL", "dead_letters"),
    ] {
        run(
            beside,
            format!("INSERT INTO {table} SELECT {columns} FROM {ROWS}"),
        )
        .await;
        run(beside, format!("ANALYZE TABLE {table}")).await;
    }
}

async fn accounts(store: &dyn Store) {
    let account = user();
    store.add_users(&[account.clone(), user()]).await.unwrap();
    let rival = domain::User {
        username: account.username.clone(),
        ..user()
    };
    store.add_users(&[rival]).await.unwrap();
    store.user(account.id).await.unwrap();
    store
        .users_by_name(&[account.username.clone(), user().username])
        .await
        .unwrap();
    store
        .replace_user(&domain::User {
            version: 2,
            ..account.clone()
        })
        .await
        .unwrap();
    let page = store.users_page(None, 5).await;
    // The filler's rows cannot be read; what counts is how they were found.
    assert!(page.is_err());
    let cursor = format!("users.{}", account.id);
    store.users_page(Some(&cursor), 5).await.unwrap();

    let session = Session {
        token_hash: "t1".into(),
        family: "f1".into(),
        user_id: account.id,
        credentials_version: 1,
        expires_at: later(1000),
    };
    let next = Session {
        token_hash: "t2".into(),
        ..session.clone()
    };
    store.open_session(&session).await.unwrap();
    store.session("t1", now()).await.unwrap();
    store.rotate_session("t1", &next, now()).await.unwrap();
    store.rotate_session("t1", &next, now()).await.unwrap();
    store.revoke_session("t2", now()).await.unwrap();
    let name = &account.username;
    let none = LoginAttempts::default();
    store.count_failed_login(name, none, now()).await.unwrap();
    let seen = store.login_attempts(name, now()).await.unwrap();
    store.count_failed_login(name, seen, now()).await.unwrap();
    store.clear_failed_logins(name).await.unwrap();
}

async fn sales(store: &dyn Store) {
    let sale = spike(9);
    store.add_spike(&sale).await.unwrap();
    store.spike(sale.id).await.unwrap();
    let mut lowered = domain::Spike {
        version: 2,
        ..sale.clone()
    };
    lowered.settings.stock = 8;
    store.replace_spike(&sale, &lowered).await.unwrap();
    store.retire_unit(sale.id, 1).await.unwrap();
    store.retire_unit(sale.id, 1).await.unwrap();
    store.next_epoch(sale.id).await.unwrap();
    assert_eq!(store.live_spikes().await.unwrap().len(), 1);
    let cursor = format!("spikes.live.1.{}", sale.id);
    // On the other shelf is the filler, which cannot be read either.
    assert!(store.spikes_page(Some(&cursor), 1).await.is_err());
    store.mark_spike(&lowered, Mark::Closed).await.unwrap();
    store
        .mark_spike(
            &domain::Spike {
                epoch: 1,
                ..lowered
            },
            Mark::Shelved,
        )
        .await
        .unwrap();
    store.delete_spike(sale.id, 2).await.unwrap();
    let letter = DeadLetter {
        id: "letter".into(),
        body: "b".into(),
        reason: "r".into(),
        received_at: now(),
        redriven_at: None,
    };
    store.add_dead_letter(&letter).await.unwrap();
    store.add_dead_letter(&letter).await.unwrap();
    store.dead_letter("letter").await.unwrap();
    store.mark_redriven("letter", now()).await.unwrap();
    store.dead_letters_page(None, 1).await.unwrap();
}

async fn purchases(store: &dyn Store) {
    let sale = spike(99);
    let orders: Vec<_> = (1..=5)
        .map(|unit| placed(&sale, &[unit, 50 + unit]))
        .collect();
    store.place(&orders).await;
    store.place(&orders).await;
    let (one, two) = (&orders[0], &orders[1]);
    let rejected = domain::Order {
        state: domain::OrderState::Rejected,
        ..placed(&sale, &[9])
    };
    store.reject(&rejected).await.unwrap();
    store.reject(&rejected).await.unwrap();
    store.order(one.id).await.unwrap();
    store.orders(&[one.id, two.id]).await.unwrap();
    store.live_order(sale.id, one.user_id).await.unwrap();
    store.newest_order(sale.id, one.user_id).await.unwrap();
    let page = store.orders_page(one.user_id, None, 5).await.unwrap();
    assert_eq!(page.items.len(), 1);
    let cursor = format!("orders.{}", one.id);
    store
        .orders_page(one.user_id, Some(&cursor), 5)
        .await
        .unwrap();
    store.pay(one.id, &payment(one)).await.unwrap();
    store
        .end(two.id, Transition::Cancel, later(1))
        .await
        .unwrap();
    let refund = Refund {
        payment: payment(two),
        recorded_at: later(2),
    };
    store.refund(two.id, &refund).await.unwrap();
    assert_eq!(store.refunds_page(None, 5).await.unwrap().items.len(), 1);
    let cursor = format!("refunds.9.{}", two.id);
    store.refunds_page(Some(&cursor), 5).await.unwrap();
    assert!(!store.due(later(1_000_000_000), 9).await.unwrap().is_empty());
    store.mark_released(two.id).await.unwrap();
    store.claims(sale.id, 1, 99).await.unwrap();
    store.claims_on(sale.id, &(1..=99).collect()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_uses_an_index() {
    let server = mariadb_with(&[
        "--log-output=TABLE",
        "--slow-query-log=1",
        "--long-query-time=1000",
    ]);
    let url = server.database().await;
    let store = mysql_store_at(&url, PATIENT).await;
    let mut root = connection(&server.root_url().parse().unwrap()).await;
    let name = url.path().trim_start_matches('/').to_owned();
    run(&mut root, format!("USE {name}")).await;
    fill(&mut root).await;
    run(&mut root, "SET GLOBAL log_queries_not_using_indexes = 1").await;
    // Variables like this one are a connection's own: those of the store begin now.
    let store = MySqlStore::lazily(&url, store.patience).unwrap();

    accounts(&store).await;
    sales(&store).await;
    purchases(&store).await;
    store.tidy_everything(now()).await;

    // Written after the statements above, on a connection of its own: when the log has this one, it has all.
    let mut scanning = connection(&url).await;
    run(&mut scanning, "SELECT id FROM orders WHERE quantity = 7").await;
    let logged = format!("SELECT CAST(sql_text AS CHAR) FROM mysql.slow_log WHERE db = '{name}'");
    let mut without: Vec<String> = Vec::new();
    // The server answers a statement before it writes it to the log.
    for _ in 0..200 {
        let rows = run(&mut root, logged.clone()).await;
        without = rows.iter().map(|row| row.try_get(0).unwrap()).collect();
        if !without.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(without, ["SELECT id FROM orders WHERE quantity = 7"]);
}
