//! Conflicts, throttles, time-outs and refusals.

use domain::order::Transition;
use serde_json::{Value, json};

use super::saboteur::{Fate, Sabotaged};
use crate::{
    Error, Orders, Placement, Retirement, Spikes, Transitioned, Users,
    conformance::samples::{claims, held_by, later, must_place, place, placed, spike, user},
};

/// What every request may meet that decides nothing.
const HICCUPS: [fn() -> Fate; 5] = [
    || Fate::error(400, "ThrottlingException"),
    || Fate::error(400, "ProvisionedThroughputExceededException"),
    || Fate::error(400, "RequestLimitExceeded"),
    || Fate::error(500, "InternalServerError"),
    || Fate::LoseRequest,
];

/// What a transaction may meet besides.
const CONFLICTS: [fn() -> Fate; 6] = [
    || Fate::cancelled(&["None", "None", "None"]),
    || Fate::cancelled(&["None", "TransactionConflict", "None"]),
    || {
        Fate::cancelled(&[
            "None",
            "ConditionalCheckFailed",
            "ProvisionedThroughputExceeded",
        ])
    },
    || {
        Fate::cancelled(&[
            "TransactionConflict",
            "ConditionalCheckFailed",
            "ConditionalCheckFailed",
        ])
    },
    || Fate::error(400, "TransactionInProgressException"),
    || Fate::cancelled(&[]),
];

fn is_unavailable<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Unavailable(_)))
}

#[tokio::test]
async fn fault_15_what_decides_nothing_is_repeated() {
    for fates in [HICCUPS.to_vec(), CONFLICTS.to_vec()] {
        let expected = fates.len() + 1;
        let engine = Sabotaged::first("TransactWriteItems", fates).await;
        let order = placed(&spike(3), &[1]);
        assert_eq!(place(&engine.store, &order).await, Placement::Written);
        assert_eq!(engine.calls(), expected);
        assert_eq!(engine.honest.order(order.id).await.unwrap(), Some(order));
    }
}

#[tokio::test]
async fn fault_15_single_requests_are_repeated_too() {
    let order = placed(&spike(3), &[1]);
    for operation in [
        "GetItem",
        "UpdateItem",
        "PutItem",
        "Query",
        "BatchGetItem",
        "DeleteItem",
    ] {
        let engine = Sabotaged::first(operation, HICCUPS.to_vec()).await;
        must_place(&engine.honest, &order).await;
        let sale = spike(3);
        assert!(engine.store.add_spike(&sale).await.unwrap());
        assert_eq!(engine.store.next_epoch(sale.id).await.unwrap(), Some(1));
        assert_eq!(engine.store.live_spikes().await.unwrap().len(), 1);
        assert_eq!(
            engine.store.order(order.id).await.unwrap().as_ref(),
            Some(&order)
        );
        assert_eq!(
            engine.store.orders(&[order.id]).await.unwrap(),
            std::slice::from_ref(&order)
        );
        assert!(engine.store.delete_spike(sale.id, 1).await.unwrap());
        assert_eq!(engine.calls(), HICCUPS.len() + 1, "{operation}");
    }
}

#[tokio::test]
async fn fault_15_an_endless_conflict_is_unavailable_and_writes_nothing() {
    let engine = Sabotaged::new("TransactWriteItems", |_, _| {
        Fate::cancelled(&["None", "TransactionConflict", "None"])
    });
    let engine = engine.await;
    let order = placed(&spike(3), &[1]);
    assert!(is_unavailable(
        &engine.store.place(std::slice::from_ref(&order)).await[0]
    ));
    assert!((2..=10).contains(&engine.calls()));
    assert_eq!(engine.honest.order(order.id).await.unwrap(), None);

    must_place(&engine.honest, &order).await;
    assert!(is_unavailable(
        &engine
            .store
            .end(order.id, Transition::Cancel, later(1))
            .await
    ));
    assert_eq!(engine.honest.order(order.id).await.unwrap(), Some(order));
    assert!(is_unavailable(&engine.store.add_users(&[user()]).await));
    assert!(is_unavailable(
        &engine.store.retire_unit(spike(1).id, 1).await
    ));
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_never_answers_is_given_up() {
    let engine = Sabotaged::new("GetItem", |_, _| Fate::Hang).await;
    assert!(is_unavailable(
        &engine.store.order(placed(&spike(1), &[1]).id).await
    ));
    assert!((2..=5).contains(&engine.calls()));
}

/// Three of ten orders are throttled whenever they are tried: the batch is divided, and seven are written.
#[tokio::test]
async fn fault_08_three_of_ten_that_are_throttled_come_again_alone() {
    let sale = spike(10);
    let orders: Vec<_> = (1..=10).map(|unit| placed(&sale, &[unit])).collect();
    let throttled: Vec<String> = [2, 5, 9]
        .map(|index: usize| orders[index].id.to_string())
        .to_vec();
    let engine = Sabotaged::new("TransactWriteItems", move |_, body| {
        let items = serde_json::from_str::<Value>(body).unwrap()["TransactItems"]
            .as_array()
            .unwrap()
            .len();
        if throttled.iter().any(|id| body.contains(id)) {
            Fate::cancelled(&vec!["ThrottlingError"; items])
        } else {
            Fate::Pass
        }
    });
    let engine = engine.await;
    let answers = engine.store.place(&orders).await;
    for (index, (order, answer)) in orders.iter().zip(answers).enumerate() {
        let is_throttled = [2, 5, 9].contains(&index);
        assert_eq!(is_unavailable(&answer), is_throttled);
        assert_eq!(
            engine.honest.order(order.id).await.unwrap().is_some(),
            !is_throttled
        );
    }
    let again = engine.honest.place(&orders).await;
    let written = again
        .iter()
        .filter(|answer| *answer.as_ref().unwrap() == Placement::Written);
    assert_eq!(written.count(), 3);
}

/// The order itself is known to be there, whatever else is in conflict; its buyer's place is not.
#[tokio::test]
async fn a_conflict_beside_a_failed_condition_decides_only_for_the_order_itself() {
    let sale = spike(3);
    let order = placed(&sale, &[1]);
    let (honest, _guard) = crate::testing::dynamo_store().await;
    must_place(&honest, &order).await;
    let raw = raw_item(&honest, &order.id.to_string()).await;

    let there = json!([{ "Code": "ConditionalCheckFailed", "Item": raw }, { "Code": "TransactionConflict" }, { "Code": "None" }]);
    let engine = Sabotaged::new("TransactWriteItems", move |_, _| {
        Fate::cancelled_with(&there)
    })
    .await;
    assert_eq!(
        place(&engine.store, &order).await,
        Placement::Exists(Box::new(order.clone()))
    );
    let ended = engine
        .store
        .end(order.id, Transition::Cancel, later(1))
        .await
        .unwrap();
    assert_eq!(ended, Transitioned::Unknown);
    assert_eq!(engine.calls(), 1);
    must_place(&engine.honest, &order).await;
    let ended = engine
        .store
        .end(order.id, Transition::Cancel, later(1))
        .await
        .unwrap();
    assert_eq!(ended, Transitioned::NotPlaced(Box::new(order)));
    assert_eq!(engine.calls(), 2);
}

async fn raw_item(store: &super::DynamoStore, id: &str) -> Value {
    use aws_sdk_dynamodb::types::AttributeValue::{Bool, N, Null, S};
    let key = S(id.to_owned());
    let item = store
        .client
        .get_item()
        .table_name("orders")
        .key("id", key)
        .send()
        .await
        .unwrap()
        .item
        .unwrap();
    let attributes = item.into_iter().map(|(name, value)| {
        let value = match value {
            S(text) => json!({ "S": text }),
            N(number) => json!({ "N": number }),
            Bool(flag) => json!({ "BOOL": flag }),
            Null(_) => json!({ "NULL": true }),
            other => panic!("no order has this: {other:?}"),
        };
        (name, value)
    });
    attributes.collect::<serde_json::Map<_, _>>().into()
}

#[tokio::test]
async fn a_refusal_is_a_defect_and_is_not_repeated() {
    for code in [
        "ValidationException",
        "AccessDeniedException",
        "UnrecognizedClientException",
    ] {
        let engine = Sabotaged::new("TransactWriteItems", move |_, _| Fate::error(400, code)).await;
        let answer = engine
            .store
            .place(&[placed(&spike(3), &[1])])
            .await
            .remove(0);
        assert!(matches!(answer, Err(Error::Corrupt(reason)) if reason.contains(code)));
        assert_eq!(engine.calls(), 1);
    }
    let engine = Sabotaged::new("TransactWriteItems", |_, _| {
        Fate::cancelled(&["None", "ValidationError", "None"])
    });
    let engine = engine.await;
    let answer = engine
        .store
        .place(&[placed(&spike(3), &[1])])
        .await
        .remove(0);
    assert!(matches!(answer, Err(Error::Corrupt(_))));
    assert_eq!(engine.calls(), 1);
}

/// One order that the engine refuses does not keep its neighbours from being written.
#[tokio::test]
async fn fault_07_a_poisoned_order_fails_alone() {
    let sale = spike(9);
    let orders = [1, 2, 3].map(|unit| placed(&sale, &[unit]));
    let poison = orders[1].id.to_string();
    let engine = Sabotaged::new("TransactWriteItems", move |_, body| {
        if body.contains(&poison) {
            Fate::error(400, "ValidationException")
        } else {
            Fate::Pass
        }
    });
    let answers = engine.await.store.place(&orders).await;
    assert!(matches!(
        answers.as_slice(),
        [
            Ok(Placement::Written),
            Err(Error::Corrupt(_)),
            Ok(Placement::Written)
        ]
    ));
}

#[tokio::test]
async fn keys_that_a_batch_leaves_unprocessed_are_asked_for_again() {
    let engine = Sabotaged::new("BatchGetItem", |call, body| {
        let request: Value = serde_json::from_str(body).unwrap();
        match call % 3 {
            0 => Fate::Answer(
                200,
                json!({ "Responses": {}, "UnprocessedKeys": request["RequestItems"] }),
            ),
            1 => Fate::error(400, "ThrottlingException"),
            _ => Fate::Pass,
        }
    });
    let engine = engine.await;
    let sale = spike(250);
    let order = placed(&sale, &[1, 120, 240]);
    must_place(&engine.honest, &order).await;
    assert_eq!(claims(&engine.store, &sale).await, held_by(&order));

    let never = Sabotaged::new("BatchGetItem", |_, body| {
        let request: Value = serde_json::from_str(body).unwrap();
        Fate::Answer(
            200,
            json!({ "Responses": {}, "UnprocessedKeys": request["RequestItems"] }),
        )
    });
    assert!(is_unavailable(
        &never.await.store.claims(sale.id, 1, 250).await
    ));
}

#[tokio::test]
async fn a_retirement_in_conflict_is_repeated_until_it_is_decided() {
    let conflicts = vec![|| Fate::cancelled(&["ConditionalCheckFailed", "TransactionConflict"]); 3];
    let conflicts: Vec<fn() -> Fate> = conflicts
        .into_iter()
        .map(|fate| fate as fn() -> Fate)
        .collect();
    let engine = Sabotaged::first("TransactWriteItems", conflicts).await;
    let was = spike(3);
    engine.store.add_spike(&was).await.unwrap();
    let mut lowered = domain::Spike {
        version: 2,
        ..was.clone()
    };
    lowered.settings.stock = 2;
    assert!(engine.store.replace_spike(&was, &lowered).await.unwrap());
    assert_eq!(
        engine.store.retire_unit(was.id, 1).await.unwrap(),
        Retirement::Retired
    );
    assert_eq!(
        engine.store.retire_unit(was.id, 2).await.unwrap(),
        Retirement::TargetMet
    );
}

#[tokio::test]
async fn fault_32_an_unknown_name_takes_as_many_reads_as_a_known_one() {
    let engine = Sabotaged::first("BatchGetItem", vec![]).await;
    let (known, unknown) = (user(), user().username);
    let added = engine.store.add_users(std::slice::from_ref(&known)).await;
    assert_eq!(added.unwrap(), [true]);
    let found = engine
        .store
        .users_by_name(std::slice::from_ref(&known.username));
    assert_eq!(found.await.unwrap(), [Some(known.clone())]);
    let calls = engine.calls();
    let found = engine.store.users_by_name(&[unknown]).await;
    assert_eq!(found.unwrap(), [None]);
    assert_eq!(engine.calls(), 2 * calls);
}
