//! The rows of the list of faults that are about queues, throttling and time limits, as AWS has them.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use domain::OrderId;
use emulate::{cloud::Cloud, lambda::Failure, queue::Depth, tables::Trouble};
use race::client::{Client, Request};
use serde_json::{Map, Value};

use crate::{
    market::{Market, until},
    race::race,
    stage::{QUEUE, run},
};

const BUYERS: usize = 60;
const UNITS: u32 = 12;
const EMPTY: Depth = Depth {
    visible: 0,
    hidden: 0,
};

async fn drained(cloud: &Cloud) -> anyhow::Result<()> {
    until("the queue is empty", async || {
        Ok(cloud.orders.depth() == EMPTY)
    })
    .await?;
    let dead = cloud.dead_letters.depth();
    ensure!(dead == EMPTY, "dead letters: {dead:?}");
    Ok(())
}

#[test]
fn fault_05_every_message_comes_three_times() {
    run(|cloud| {
        Box::pin(async {
            cloud.orders.deliver_each(3);
            let raced = race(cloud, BUYERS, UNITS).await;
            cloud.orders.deliver_each(1);
            raced?;
            drained(cloud).await
        })
    });
}

#[test]
fn fault_07_poison_goes_to_the_dead_letters_and_harms_no_neighbour() {
    run(|cloud| {
        Box::pin(async {
            cloud.orders.hide_for(Duration::from_millis(1500));
            cloud.orders.give_up_after(3);
            let large = "x".repeat(300 * 1024);
            let poison = [
                "not JSON".to_owned(),
                r#"{"specversion":"1.0","id":"1","source":"/x","type":"spike.order.eaten.v1"}"#.to_owned(),
                r#"{"specversion":"1.0","id":"2","source":"/x","type":"spike.order.placed.v1","data":{}}"#.to_owned(),
                format!(r#"{{"specversion":"1.0","id":"3","source":"/x","type":"spike.order.placed.v1","data":"{large}"}}"#),
            ];
            for body in &poison {
                cloud.orders.send(body.clone(), Map::new());
            }
            race(cloud, BUYERS, UNITS).await?;
            let kept = until("all poison is in the dead letters", async || {
                Ok(letters(cloud).await? >= poison.len())
            });
            kept.await?;
            cloud.orders.hide_for(QUEUE.visibility);
            cloud.orders.give_up_after(QUEUE.receives_max);
            ensure!(
                letters(cloud).await? == poison.len(),
                "an order is among the dead letters"
            );
            drained(cloud).await
        })
    });
}

/// How many dead letters the admin sees.
async fn letters(cloud: &Cloud) -> anyhow::Result<usize> {
    let client = Client::new(&cloud.base_url, 1)?;
    let (username, password) = cloud.admin.split_once(':').context("no password")?;
    let credentials = serde_json::json!({ "username": username, "password": password });
    let login = client
        .send(&Request::post("/users/login").json(&credentials))
        .await?;
    let tokens: race::api::Tokens = login.success("the login")?.json()?;
    let bearer = race::api::bearer(&tokens.access_token)?;
    let listed = client
        .send(&Request::get("/admin/dead-letters").bearer(&bearer))
        .await?;
    let listed: Value = listed.success("the dead letters")?.json()?;
    Ok(listed["dead_letters"].as_array().map_or(0, Vec::len))
}

#[test]
fn fault_08_three_of_ten_records_are_throttled_and_come_again_alone() {
    run(|cloud| {
        Box::pin(async {
            let market = Market::open(cloud, 10).await?;
            cloud.writing.pause(true);
            let mut orders: Vec<OrderId> = Vec::new();
            for buyer in 0..10 {
                orders.push(market.order(buyer).await?);
            }
            let waiting = cloud.orders.depth().visible;
            ensure!(waiting == 10, "{waiting} messages for ten orders");
            let throttled = orders[..3].iter().map(ToString::to_string).collect();
            cloud.tables.set(Trouble::ThrottledWith(throttled));
            let _ = cloud.writing.batches();
            cloud.writing.pause(false);
            market.placed(&[3, 4, 5, 6, 7, 8, 9]).await?;
            until("the batch has been answered", async || {
                Ok(cloud.orders.depth()
                    == Depth {
                        visible: 0,
                        hidden: 3,
                    })
            })
            .await?;
            ensure!(cloud.tables.troubled() > 0, "nothing was throttled");
            cloud.tables.set(Trouble::None);
            market.placed(&[0, 1, 2]).await?;
            drained(cloud).await?;
            let batches = cloud.writing.batches();
            let [first, again @ ..] = &batches[..] else {
                anyhow::bail!("no batch");
            };
            ensure!(
                first.ids.len() == 10 && first.failed.len() == 3,
                "{first:?}"
            );
            let mut failed = first.failed.clone();
            let mut came_again: Vec<String> = again.iter().flat_map(|it| it.ids.clone()).collect();
            failed.sort();
            came_again.sort();
            came_again.dedup();
            ensure!(came_again == failed, "{batches:?}");
            Ok(())
        })
    });
}

#[test]
fn fault_09_the_writer_is_killed_between_its_commit_and_the_deletion() {
    run(|cloud| {
        Box::pin(async {
            let writer = cloud.function("order-writer");
            let before = writer.counts().ended;
            writer.start_anew_with("FAILPOINT", "order-writer.committed:2");
            race(cloud, BUYERS, UNITS).await?;
            ensure!(writer.counts().ended > before, "no writer has died");
            drained(cloud).await
        })
    });
}

#[test]
fn fault_15_the_store_throttles_and_transactions_meet() {
    run(|cloud| {
        Box::pin(async {
            for trouble in [Trouble::Throttled(2), Trouble::Conflicts(4)] {
                cloud.tables.set(trouble.clone());
                let raced = race(cloud, BUYERS, UNITS).await;
                let troubled = cloud.tables.troubled();
                cloud.tables.set(Trouble::None);
                raced.with_context(|| format!("{trouble:?}"))?;
                ensure!(troubled > 0, "{trouble:?} troubled nobody");
                drained(cloud).await?;
            }
            Ok(())
        })
    });
}

#[test]
fn fault_15_sqs_is_away_for_a_moment() {
    run(|cloud| {
        Box::pin(async {
            cloud.sqs.fail(30);
            race(cloud, BUYERS, UNITS).await?;
            drained(cloud).await
        })
    });
}

#[test]
fn a_writer_beyond_its_time_limit_is_killed_and_its_batch_comes_again() {
    run(|cloud| {
        Box::pin(async {
            let market = Market::open(cloud, 3).await?;
            let writer = cloud.function("order-writer");
            let before = writer.counts().timed_out;
            let _ = cloud.writing.batches();
            writer.lose_answers(true);
            market.order(0).await?;
            until("an invocation has timed out", async || {
                Ok(writer.counts().timed_out > before)
            })
            .await?;
            writer.lose_answers(false);
            market.placed(&[0]).await?;
            drained(cloud).await?;
            let batches = cloud.writing.batches();
            let timed_out = batches
                .iter()
                .filter(|it| it.failure == Some(Failure::TimedOut));
            ensure!(timed_out.count() > 0, "{batches:?}");
            Ok(())
        })
    });
}

#[test]
fn a_socket_that_went_stale_while_frozen_is_replaced_within_one_request() {
    run(|cloud| {
        Box::pin(async {
            let market = Market::open(cloud, 3).await?;
            market.order(0).await?;
            market.placed(&[0]).await?;
            let spike = cloud.function("spike");
            let (idle, starts) = (spike.idle(), spike.counts().starts);
            ensure!(!idle.is_empty(), "no instance is idle");
            for id in &idle {
                let state = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
                ensure!(state.contains(") T "), "it is not frozen: {state}");
            }
            // What was answered within the last second is still trusted: a rest is longer.
            tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
            let closed = cloud.redis.hang_up().await?;
            ensure!(closed > 0, "nobody was connected");
            // One try of each.
            market.order(1).await?;
            market.placed(&[1]).await?;
            ensure!(
                spike.counts().starts == starts,
                "another instance was started instead"
            );
            Ok(())
        })
    });
}
