//! `order-writer` as the subscriber of a Trigger, and who publishes what nobody has published.
//!
//! That a 2xx acknowledges and a 5xx does not is row 8 of the faults, that a 4xx goes to `dead-letter` row 7.

use std::time::Duration;

use anyhow::ensure;
use r#break::{
    fleet::Fleet,
    mariadb,
    scenarios::{all_is_well, broker::dead_letters, functions::until},
    service::{Life, Signal},
    shop::{Shop, Terms, settle},
    tap::{Answer, Mode},
};
use domain::OrderPlaced;
use events::envelope;
use futures::future::try_join_all;
use race::{
    api::OrderView,
    client::{Client, Request},
};
use serde_json::Value;
use sqlx::{Connection as _, MySqlConnection};

/// How many events come together.
const TOGETHER: usize = 48;
/// Each of a transaction's statements takes so long, so that those who come meanwhile wait together.
const SLOW: Duration = Duration::from_millis(50);

/// As what is not answered, and unlike every other 4xx.
pub(super) async fn too_many_requests_are_delivered_again(fleet: &Fleet) -> anyhow::Result<()> {
    let before = dead_letters(fleet).await?.len();
    let shop = Shop::open(fleet, Terms::units(10)).await?;
    fleet.deliveries.set(Mode::First(3, Answer::TooMany));
    let shoppers = shop.crowd(0, 12, Duration::ZERO).ends().await;
    all_is_well(&shop, &shoppers).await?;
    let (_, refused) = fleet.deliveries.counts();
    let after = dead_letters(fleet).await?.len();
    ensure!(
        (refused, after) == (3, before),
        "{refused} refused, {after} letters"
    );
    Ok(())
}

/// What comes while a transaction is under way is written by the next, and no transaction has more than 100.
pub(super) async fn deliveries_that_come_together_are_few_transactions(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let sweeps = fleet.without_sweeps().await;
    fleet.deliveries.set(Mode::Refuse);
    let shop = Shop::open(fleet, Terms::units(u32::try_from(TOGETHER)?)).await?;
    for buyer in 0..TOGETHER {
        let order = shop.order(buyer).await?;
        settle(&fleet.client, &order).await?.success("an order")?;
    }
    let events = pending(&shop).await?;
    ensure!(events.len() == TOGETHER, "{} are pending", events.len());
    let writer = fleet.function("order-writer").port;
    let writer = Client::new(&format!("http://127.0.0.1:{writer}"), TOGETHER)?;
    let mut database = MySqlConnection::connect(&mariadb::url(fleet.store.port)).await?;
    let before = commits(&mut database).await?;
    fleet.store_way.wire()?.delay(SLOW);
    let delivered = events.iter().map(async |event| {
        let delivery = Request::post("/events/order-placed");
        let delivery = delivery.body(envelope::CONTENT_TYPE, envelope::write(event));
        writer.send(&delivery).await?.success("a delivery")
    });
    try_join_all(delivered).await?;
    fleet.store_way.wire()?.delay(Duration::ZERO);
    let transactions = commits(&mut database).await? - before;
    ensure!(
        (2..=12).contains(&transactions),
        "{TOGETHER} orders in {transactions} transactions"
    );
    println!("{TOGETHER} deliveries together: {transactions} transactions");
    fleet.deliveries.set(Mode::Pass);
    drop(sweeps);
    let everybody = u32::try_from(TOGETHER + 5)?;
    let shoppers = shop.crowd(0, everybody, Duration::from_millis(500));
    all_is_well(&shop, &shoppers.ends().await).await.map(drop)
}

/// The events of what is reserved and not yet an order.
async fn pending(shop: &Shop<'_>) -> anyhow::Result<Vec<OrderPlaced>> {
    let redis = shop.fleet.redis.lock().await;
    let key = format!("spike:{{{}}}:pending", shop.spike_id);
    let members: Vec<String> = redis.command(&["ZRANGE", &key, "0", "-1"]).await?;
    let events = members.iter();
    let events = events.map(|member| OrderPlaced::from_member(shop.spike_id, member));
    Ok(events.collect::<Result<_, _>>()?)
}

/// How many transactions the server has ended with success.
async fn commits(database: &mut MySqlConnection) -> anyhow::Result<u64> {
    let query = sqlx::query_as("SHOW GLOBAL STATUS LIKE 'Com_commit'");
    let (_, count): (String, String) = query.fetch_one(database).await?;
    Ok(count.parse()?)
}

/// The call of a timer that comes once a minute: a reservation whose publisher found no broker becomes an order long before
/// the next one. A sweeper that goes answers first.
pub(super) async fn a_sweeper_publishes_again_and_again_until_it_is_told_to_stop(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let sweeps = fleet.without_sweeps().await;
    let sweeper = fleet.function("second-sweeper");
    let shop = Shop::open(fleet, Terms::units(1)).await?;
    let timer = format!("http://127.0.0.1:{}/timers/sweep", sweeper.port);
    let running = tokio::spawn(reqwest::Client::new().post(timer).send());
    fleet.events.set(Mode::Refuse);
    let order = shop.order(0).await?;
    let outcome = fleet.client.send(&order).await?.outcome();
    ensure!(outcome.starts_with("503"), "without a broker: {outcome}");
    fleet.events.set(Mode::Pass);
    until("the sweeper publishes it", async || {
        let view: OrderView = shop.mine(0).await?.success("Location")?.json()?;
        Ok(view.is_durable())
    })
    .await?;
    ensure!(
        !running.is_finished(),
        "the run is over while a sale is open"
    );
    let drained = sweeper.life().drained;
    sweeper.signal(Signal::TERM);
    let answer = running.await??.error_for_status()?;
    let summary: Value = answer.json().await?;
    ensure!(summary["published"].as_u64() >= Some(1), "{summary}");
    let again = |life: &Life| life.drained > drained && life.ready;
    sweeper.until("ends with success", again).await?;
    drop(sweeps);
    let shoppers = shop.crowd(0, 2, Duration::from_secs(1)).ends().await;
    all_is_well(&shop, &shoppers).await.map(drop)
}
