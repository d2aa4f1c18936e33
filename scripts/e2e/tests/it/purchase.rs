//! The story of buyers and operators, from the account to the refund.

use std::time::Duration;

use domain::OrderId;
use e2e::client::Call;
use serde_json::{Value, json};

use crate::{
    openapi::{login, upcoming},
    stage::{PASSWORD, Person, inside, new_name, now, stage, until},
};

#[tokio::test]
async fn a_buyer_registers_waits_for_the_start_buys_and_pays() {
    let stage = stage().await;
    let name = new_name();
    let account = stage.register(&name).await.expect("201");
    let session = login(&stage, &name, PASSWORD).await.expect("200");
    let buyer = Person {
        user_id: account.text("user_id").parse().unwrap(),
        username: name,
        token: session.text("access_token"),
    };
    let starts_at = now() + Duration::from_secs(2);
    let spike = stage.sale(json!({ "starts_at": starts_at })).await;
    let at = |path: &str| format!("/spikes/{spike}{path}");
    let access = stage
        .send(Call::get(at("/access")).bearer(&buyer.token))
        .await;
    assert_eq!(access.json(), json!({ "allowed": true, "reason": null }));
    let early = stage
        .send(Call::post(at("/token")).bearer(&buyer.token))
        .await;
    let early = early.expect("425 too-early");
    assert!(early.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);

    let accepted = stage.order(&buyer, &spike, 2).await.expect("202");
    assert_eq!(accepted.json()["quantity"], 2);
    assert_eq!(accepted.header("location"), Some(&*at("/order")));
    let again = stage.order(&buyer, &spike, 1).await.expect("202");
    assert_eq!(again.json(), accepted.json(), "whatever the quantity");

    let order = stage.buy(&buyer, &spike, 1).await;
    assert_eq!(order["order_id"], accepted.json()["order_id"]);
    assert_eq!(
        (&order["state"], &order["quantity"]),
        (&json!("placed"), &json!(2))
    );
    assert_eq!(order["total"]["amount_minor"], 9800);
    let path = format!("/orders/{}", order["order_id"].as_str().unwrap());
    let read = stage
        .send(Call::get(path).bearer(&buyer.token))
        .await
        .expect("200");
    assert_eq!(read.json(), order);
    let mine = stage.send(Call::get("/orders").bearer(&buyer.token)).await;
    assert_eq!(mine.json()["orders"], json!([order]));

    stage
        .pay(&buyer, &order, "test-decline")
        .await
        .expect("402 payment-declined");
    let paid = stage
        .pay(&buyer, &order, "test-approve")
        .await
        .expect("200");
    assert_eq!(paid.text("state"), "paid");
    let again = stage
        .pay(&buyer, &order, "test-approve")
        .await
        .expect("200");
    assert_eq!(again.json(), paid.json(), "charged once");
    let stats = stage.at_rest(&spike).await;
    assert_eq!(
        (&stats["store"]["held"], &stats["store"]["free"]),
        (&json!(2), &json!(1))
    );
}

#[tokio::test]
async fn a_cancelled_order_makes_room_for_a_new_one() {
    let stage = stage().await;
    let (spike, buyer) = (
        stage.sale(json!({ "stock": 1 })).await,
        stage.person().await,
    );
    let first = stage.buy(&buyer, &spike, 1).await;
    let cancelled = stage.cancel(&buyer, &first).await.expect("200");
    assert_eq!(cancelled.text("state"), "cancelled");
    let second = async || {
        let answer = stage.order(&buyer, &spike, 1).await;
        (answer.outcome() == "202").then(|| answer.json())
    };
    let second = until("the unit is sold again", second).await;
    assert_ne!(second["order_id"], first["order_id"]);
    stage.state(&buyer, &second, "placed").await;
    let old = stage.state(&buyer, &first, "cancelled").await;
    assert_eq!(old["units"], first["units"]);
    stage.at_rest(&spike).await;
}

#[tokio::test]
async fn buyers_are_told_why_they_get_nothing() {
    let stage = stage().await;
    let spike = stage.sale(json!({ "stock": 2 })).await;
    let [first, second, third] = &stage.people(3).await[..] else {
        panic!("three people")
    };
    stage.buy(first, &spike, 1).await;
    let not_enough = stage
        .order(second, &spike, 2)
        .await
        .expect("409 not-enough");
    assert_eq!(not_enough.json()["left"], 1);
    let over_limit = stage
        .order(second, &spike, 3)
        .await
        .expect("422 over-limit");
    assert_eq!(over_limit.json()["limit"], 2);
    stage.buy(second, &spike, 1).await;
    let location = format!("/spikes/{spike}/order");
    for _ in 0..2 {
        let sold_out = stage.order(third, &spike, 1).await.expect("409 sold-out");
        assert_eq!(sold_out.header("location"), Some(&*location));
        // Those who have bought get their order all the same.
        stage.order(first, &spike, 1).await.expect("202");
    }
    let shown = async || {
        let seen = stage
            .send(Call::get(format!("/spikes/{spike}")))
            .await
            .expect("200")
            .json();
        (seen["status"] == "sold_out" && seen["left"] == 0).then_some(())
    };
    until("the spike shows as sold out", shown).await;
    stage.at_rest(&spike).await;
}

#[tokio::test]
async fn rules_admit_whom_the_operator_says() {
    let stage = stage().await;
    let rule = json!({
        "name": "adults", "allow_if": "user.attributes.age >= 18", "reason": "Only for adults.",
    });
    let spike = stage.sale(json!({ "rules": [rule] })).await;
    let named = |age: Value| json!({ "username": new_name(), "attributes": { "age": age } });
    let entries = [
        named(json!(36)),
        named(json!(12)),
        json!({ "username": new_name() }),
    ];
    let people = stage.import(&entries).await;
    for (person, allowed) in people.iter().zip([true, false, false]) {
        let path = format!("/spikes/{spike}/access");
        let access = stage
            .send(Call::get(path).bearer(&person.token))
            .await
            .json();
        let answer = stage.order(person, &spike, 1).await;
        if allowed {
            assert_eq!(access, json!({ "allowed": true, "reason": null }));
            answer.expect("202");
        } else {
            assert_eq!(
                access,
                json!({ "allowed": false, "reason": "Only for adults." })
            );
            let denied = answer.expect("403 denied");
            assert_eq!(denied.text("detail"), "Only for adults.");
        }
    }
    stage.at_rest(&spike).await;
}

#[tokio::test]
async fn an_operator_pauses_resumes_and_ends_a_sale() {
    let stage = stage().await;
    let (spike, buyer) = (stage.sale(json!({})).await, stage.person().await);
    let turn = async |to: &str| {
        let call = Call::post(format!("/admin/spikes/{spike}/{to}"));
        stage.admin(call).await.expect("200").json()
    };
    assert_eq!(turn("pause").await["paused"], true);
    stage.order(&buyer, &spike, 1).await.expect("409 paused");
    assert_eq!(turn("resume").await["paused"], false);
    let accepted = async || {
        let answer = stage.order(&buyer, &spike, 1).await;
        (answer.outcome() == "202").then_some(())
    };
    until("the sale goes on", accepted).await;
    let latecomer = stage.person().await;
    let token = stage.path_token(&latecomer, &spike).await;
    let ends_at = now() - Duration::from_millis(1);
    stage
        .change(&spike, json!({ "ends_at": ends_at }))
        .await
        .expect("200");
    let call = Call::post(format!("/spikes/{spike}/orders/{token}"));
    stage
        .send(call.bearer(&latecomer.token))
        .await
        .expect("410 ended");
    stage
        .change(&spike, json!({}))
        .await
        .expect("409 spike-ended");
}

#[tokio::test]
async fn stock_is_raised_and_lowered_during_the_sale() {
    let stage = stage().await;
    let spike = stage.sale(json!({ "stock": 1 })).await;
    let people = stage.people(4).await;
    let first = stage.buy(&people[0], &spike, 1).await;
    stage
        .order(&people[1], &spike, 1)
        .await
        .expect("409 sold-out");
    let raised = stage
        .change(&spike, json!({ "stock": 3 }))
        .await
        .expect("200")
        .json();
    assert_eq!((&raised["top"], &raised["retired"]), (&json!(3), &json!(0)));
    let sold = async || {
        let answer = stage.order(&people[1], &spike, 1).await;
        (answer.outcome() == "202").then_some(())
    };
    until("a new unit is sold", sold).await;
    stage.buy(&people[1], &spike, 1).await;

    let lowered = stage
        .change(&spike, json!({ "stock": 1 }))
        .await
        .expect("200")
        .json();
    assert_eq!(lowered["retired_now"], 1, "one unit was free: {lowered}");
    stage
        .order(&people[2], &spike, 1)
        .await
        .expect("409 sold-out");
    // What comes free is taken back until the target is met.
    stage.cancel(&people[0], &first).await.expect("200");
    stage.retired(&spike, 2).await;
    let stats = stage.at_rest(&spike).await;
    assert_eq!(
        stats["store"],
        json!({ "free": 0, "held": 1, "retired": 2 })
    );
}

#[tokio::test]
async fn changes_name_the_version_that_they_were_made_on() {
    let stage = stage().await;
    let spike = upcoming(&stage).await;
    let (seen, etag) = stage.read_spike(&spike).await;
    assert_eq!(etag, format!("\"{}\"", seen["version"]));
    let path = format!("/admin/spikes/{spike}");
    stage
        .change(&spike, json!({ "name": "Boots" }))
        .await
        .expect("200");
    let outdated = Call::new("delete", &path).if_match(&etag);
    stage.admin(outdated).await.expect("412 version-mismatch");
    stage
        .admin(Call::new("delete", &path))
        .await
        .expect("428 version-required");
    let (seen, etag) = stage.read_spike(&spike).await;
    assert_eq!(seen["name"], "Boots");
    stage
        .admin(Call::new("delete", &path).if_match(&etag))
        .await
        .expect("204");
    stage.admin(Call::get(&path)).await.expect("404 no-spike");

    let started = stage.sale(json!({})).await;
    let call = Call::new("delete", format!("/admin/spikes/{started}")).if_match("\"1\"");
    stage.admin(call).await.expect("409 spike-started");
}

#[tokio::test]
async fn an_unpaid_order_expires_and_its_unit_comes_back() {
    let stage = stage().await;
    let spike = stage
        .sale(json!({ "stock": 1, "pay_within_secs": 1 }))
        .await;
    let [first, second] = &stage.people(2).await[..] else {
        panic!("two people")
    };
    let order = stage.buy(first, &spike, 1).await;
    stage.state(first, &order, "expired").await;
    stage
        .pay(first, &order, "test-approve")
        .await
        .expect("409 order-ended");
    let sold = async || {
        let answer = stage.order(second, &spike, 1).await;
        (answer.outcome() == "202").then_some(())
    };
    until("the unit is sold again", sold).await;
    stage.at_rest(&spike).await;
}

#[tokio::test]
async fn refunds_are_listed_for_operators() {
    let stage = stage().await;
    let refunds = stage
        .admin(Call::get("/admin/refunds"))
        .await
        .expect("200")
        .json();
    assert!(refunds["refunds"].is_array(), "{refunds}");
}

#[tokio::test]
async fn a_dead_letter_is_listed_and_sent_again() {
    let stage = stage().await;
    if inside().is_none() {
        return;
    }
    let spike = stage.sale(json!({ "stock": 2 })).await;
    let [buyer, next] = &stage.people(2).await[..] else {
        panic!("two people")
    };
    let order_id = OrderId::mint(now(), auth::random());
    let event = events::envelope::write(&domain::OrderPlaced {
        order_id,
        spike_id: spike.parse().unwrap(),
        user_id: buyer.user_id,
        units: [1].into_iter().collect(),
    });
    let letter = stage
        .dead_letter(std::str::from_utf8(&event).unwrap())
        .await;
    let redrive = Call::post(format!("/admin/dead-letters/{letter}/redrive"));
    let redriven = stage.admin(redrive).await.expect("202");
    assert_eq!(redriven.text("order_id"), order_id.to_string());
    // Redis knew nothing of this order and hands its unit out once more: the store is the truth.
    let order = json!({ "order_id": order_id });
    assert_eq!(
        stage.state(buyer, &order, "placed").await["units"],
        json!([1])
    );
    assert_eq!(stage.buy(next, &spike, 1).await["units"], json!([2]));
    let letters = stage.admin(Call::get("/admin/dead-letters")).await.json();
    let letters = letters["dead_letters"].as_array().unwrap().clone();
    let ours = letters.iter().find(|it| it["id"] == *letter).unwrap();
    assert_ne!(ours["redriven_at"], Value::Null);
    stage.at_rest(&spike).await;
}

#[tokio::test]
async fn an_import_creates_amends_and_reports() {
    let stage = stage().await;
    let (known, new) = (stage.person().await, new_name());
    let lines = [
        json!({ "username": new, "attributes": { "age": 36 } }).to_string(),
        json!({ "username": known.username, "display_name": "Ada" }).to_string(),
        "not JSON".to_owned(),
        json!({ "username": new_name(), "password_hash": "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA" })
            .to_string(),
    ];
    let call = Call::post("/admin/users/import").body("application/x-ndjson", lines.join("\n"));
    let imported = stage.admin(call).await.expect("200").json();
    let counts = ["created", "amended", "failed_total"].map(|it| imported[it].as_u64());
    assert_eq!(counts, [Some(1), Some(1), Some(2)], "{imported}");
    let failed: Vec<_> = imported["failed"].as_array().unwrap().iter().collect();
    assert_eq!(
        failed
            .iter()
            .map(|it| it["line"].as_u64())
            .collect::<Vec<_>>(),
        [Some(3), Some(4)]
    );
    let call = Call::get(format!("/admin/users/{}", known.user_id));
    assert_eq!(stage.admin(call).await.text("display_name"), "Ada");
}
