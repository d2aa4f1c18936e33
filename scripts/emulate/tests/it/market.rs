//! A sale whose purchases are made one by one.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use domain::{Money, OrderId, SpikeId, spike::Settings};
use emulate::cloud::Cloud;
use race::{
    admin::Admin,
    api::{Accepted, OrderView, PathToken, ServerClock},
    client::{Answer, Client, Request},
    progress::Progress,
    users::{self, Buyer},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// An open sale, and who may buy.
pub(crate) struct Market {
    pub(crate) client: Arc<Client>,
    pub(crate) buyers: Vec<Buyer>,
    pub(crate) spike_id: SpikeId,
}

impl Market {
    /// Opens a sale of so many units for as many buyers.
    pub(crate) async fn open(cloud: &Cloud, units: u32) -> anyhow::Result<Self> {
        let client = Arc::new(Client::new(&cloud.base_url, 16)?);
        let admin = Admin::login(&client, &cloud.admin).await?;
        let clock = ServerClock::read(&client).await?;
        let (key, progress) = (&cloud.signing_key_file, Progress::new(true));
        let count = usize::try_from(units)?;
        let buyers = users::signed(&client, &admin, clock, key, count, &progress).await?;
        let now = clock.now();
        let settings = Settings {
            name: "One by one".to_owned(),
            description: String::new(),
            stock: units,
            limit_per_user: 1,
            price: Money {
                amount_minor: 4900,
                currency: "EUR".parse()?,
            },
            starts_at: now - Duration::from_secs(2),
            ends_at: now + Duration::from_hours(1),
            pay_within_secs: 900,
            rules: Vec::new(),
            expected_buyers: None,
        };
        let spike_id = admin.create_spike(&settings).await?;
        Ok(Self {
            client,
            buyers,
            spike_id,
        })
    }

    async fn ask(&self, buyer: usize, request: Request) -> anyhow::Result<Answer> {
        let request = request.bearer(&self.buyers[buyer].bearer);
        self.client.send(&request).await
    }

    /// One try.
    pub(crate) async fn order(&self, buyer: usize) -> anyhow::Result<OrderId> {
        let token = Request::post(format!("/spikes/{}/token", self.spike_id));
        let token = self.ask(buyer, token).await?.success("a path token")?;
        let PathToken { token } = token.json()?;
        let order = Request::post(format!("/spikes/{}/orders/{token}", self.spike_id));
        let order = order.json(&json!({ "quantity": 1 }));
        let accepted: Accepted = self.ask(buyer, order).await?.success("an order")?.json()?;
        Ok(accepted.order_id)
    }

    /// What the buyer sees of their order.
    pub(crate) async fn mine(&self, buyer: usize) -> anyhow::Result<OrderView> {
        let mine = Request::get(format!("/spikes/{}/order", self.spike_id));
        self.ask(buyer, mine).await?.success("an order")?.json()
    }

    /// Waits until the orders of these buyers are written.
    pub(crate) async fn placed(&self, buyers: &[usize]) -> anyhow::Result<()> {
        for buyer in buyers {
            until("the order is written", async || {
                Ok(self.mine(*buyer).await?.is_durable())
            })
            .await?;
            let mine = self.mine(*buyer).await?;
            ensure!(mine.state == "placed", "the order is {}", mine.state);
        }
        Ok(())
    }
}

/// Asks again and again.
pub(crate) async fn until(
    what: &str,
    mut is: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let give_up = Instant::now() + PATIENCE;
    while !is().await.context(what.to_owned())? {
        ensure!(Instant::now() < give_up, "it never came about: {what}");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
