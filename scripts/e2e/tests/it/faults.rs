//! The rows of the list of faults that are tested over HTTP, each named `fault_NN_`.

mod fuzz;
mod guesses;
mod inputs;
mod sockets;
mod tokens;

use std::time::Duration;

use e2e::client::Call;
use serde_json::json;

use crate::stage::{stage, until};

/// For how long a function may say that all is sold without asking.
const SOLD_OUT_REMEMBERED: Duration = Duration::from_secs(1);

#[tokio::test]
async fn fault_06_paying_for_an_order_that_is_not_written_yet_is_told_to_come_again() {
    let stage = stage().await;
    let (spike, buyer) = (stage.sale(json!({})).await, stage.person().await);
    let accepted = stage.order(&buyer, &spike, 1).await.expect("202").json();
    // Whether the order is written by now or not: it is paid in the end, and nothing else is said before.
    let paid = async || {
        let answer = stage.pay(&buyer, &accepted, "test-approve").await;
        if answer.outcome() == "404 no-order" {
            assert!(answer.header("retry-after").is_some());
            return None;
        }
        Some(answer.expect("200"))
    };
    assert_eq!(until("the order is paid", paid).await.text("state"), "paid");
    let unknown = json!({ "order_id": "01900000-0000-7000-8000-000000000000" });
    let answer = stage
        .pay(&buyer, &unknown, "test-approve")
        .await
        .expect("404 no-order");
    assert!(
        answer.header("retry-after").is_some(),
        "it might be on its way"
    );
    stage.at_rest(&spike).await;
}

#[tokio::test]
async fn fault_19_cancelling_twice_gets_the_same_answer_and_frees_the_unit_once() {
    let stage = stage().await;
    let spike = stage.sale(json!({ "stock": 2 })).await;
    let [first, second] = &stage.people(2).await[..] else {
        panic!("two people")
    };
    let order = stage.buy(first, &spike, 1).await;
    let paid = stage.buy(second, &spike, 1).await;
    let answers = futures::future::join_all((0..5).map(|_| stage.cancel(first, &order))).await;
    for answer in &answers {
        assert_eq!(answer.clone().expect("200").json(), answers[0].json());
    }
    let later = stage.cancel(first, &order).await.expect("200");
    assert_eq!(later.json(), answers[0].json());
    stage.pay(second, &paid, "test-approve").await.expect("200");
    stage.cancel(second, &paid).await.expect("409 order-paid");
    stage
        .pay(first, &order, "test-approve")
        .await
        .expect("409 order-ended");
    let stats = stage.at_rest(&spike).await;
    assert_eq!(stats["redis"]["free"], 1, "{stats}");
    assert_eq!(
        stats["store"],
        json!({ "free": 1, "held": 1, "retired": 0 })
    );
}

#[tokio::test]
async fn fault_21_lowering_the_stock_takes_free_units_and_no_more_than_asked() {
    let stage = stage().await;
    let spike = stage.sale(json!({ "stock": 5 })).await;
    let people = stage.people(2).await;
    let mut orders = Vec::new();
    for person in &people {
        orders.push(stage.buy(person, &spike, 2).await);
    }
    // Two lowerings on the same version: one of them wins.
    let lower = || stage.change(&spike, json!({ "stock": 1 }));
    let (one, other) = tokio::join!(lower(), lower());
    let mut outcomes = [one.outcome(), other.outcome()];
    outcomes.sort();
    assert!(
        outcomes == ["200", "412 version-mismatch"] || outcomes == ["200", "200"],
        "{outcomes:?}"
    );
    let retired_now = [&one, &other].map(|it| it.json()["retired_now"].as_u64().unwrap_or(0));
    assert_eq!(retired_now.iter().sum::<u64>(), 1, "only one unit was free");
    for (person, order) in people.iter().zip(&orders) {
        assert_eq!(
            stage.state(person, order, "placed").await["units"],
            order["units"]
        );
    }
    stage.cancel(&people[0], &orders[0]).await.expect("200");
    stage.cancel(&people[1], &orders[1]).await.expect("200");
    stage.retired(&spike, 4).await;
    let stats = stage.at_rest(&spike).await;
    assert_eq!(
        stats["store"],
        json!({ "free": 1, "held": 0, "retired": 4 })
    );
}

#[tokio::test]
async fn fault_27_somebody_elses_order_is_answered_as_an_unknown_one() {
    let stage = stage().await;
    let spike = stage.sale(json!({})).await;
    let [owner, other] = &stage.people(2).await[..] else {
        panic!("two people")
    };
    let theirs = stage.buy(owner, &spike, 1).await;
    let unknown = json!({ "order_id": "01900000-0000-7000-8000-000000000000" });
    for person in [other, &stage.admin] {
        for order in [&theirs, &unknown] {
            let path = format!("/orders/{}", order["order_id"].as_str().unwrap());
            let answers = [
                stage.send(Call::get(&path).bearer(&person.token)).await,
                stage.pay(person, order, "test-approve").await,
                stage.cancel(person, order).await,
            ];
            for answer in answers {
                let answer = answer.expect("404 no-order");
                assert_eq!(answer.header("retry-after"), Some("1"));
                let plain = json!({ "method": "test-approve" });
                let same = Call::post(format!(
                    "/orders/{}/pay",
                    "01900000-0000-7000-8000-000000000001"
                ));
                let same = stage.send(same.json(&plain).bearer(&person.token)).await;
                assert_eq!(answer.body, same.body);
            }
        }
    }
    stage.state(owner, &theirs, "placed").await;
    stage.at_rest(&spike).await;
}

#[tokio::test]
async fn fault_35_a_unit_that_is_given_back_can_be_bought_although_the_sale_was_sold_out() {
    let stage = stage().await;
    let spike = stage.sale(json!({ "stock": 1 })).await;
    let [first, second] = &stage.people(2).await[..] else {
        panic!("two people")
    };
    let order = stage.buy(first, &spike, 1).await;
    stage.order(second, &spike, 1).await.expect("409 sold-out");
    stage.order(second, &spike, 1).await.expect("409 sold-out");
    stage.cancel(first, &order).await.expect("200");
    // What any instance remembers was asked before the cancellation and is forgotten now; a slow machine only waits longer.
    tokio::time::sleep(SOLD_OUT_REMEMBERED).await;
    stage.order(second, &spike, 1).await.expect("202");
    stage.buy(second, &spike, 1).await;
    stage.at_rest(&spike).await;
}
