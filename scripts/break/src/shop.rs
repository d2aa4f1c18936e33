//! A sale and its buyers, who go on trying whatever breaks, and remember every promise that they were given.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use domain::{
    Money, OrderId, SpikeId, Timestamp,
    spike::{Rule, Settings},
};
use http::{HeaderValue, header};
use race::{
    api::{Accepted, OrderView, PathToken, Stats},
    client::{Answer, Client, Request},
    users::Buyer,
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::fleet::Fleet;

/// How long a buyer goes on trying. A store that is away for a minute must not be the end of it.
const PATIENCE: Duration = Duration::from_secs(150);
/// Before the next try. Nobody may try more often than five times a second.
const AGAIN: Duration = Duration::from_millis(250);

/// What is sold.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How many units.
    pub units: u32,
    /// How many units each buyer wants, which is also how many each may have.
    pub quantity: u32,
    /// How long an order waits for its payment.
    pub pay_within: Duration,
    /// In how long it opens.
    pub opens_in: Duration,
    /// Whether a rule is asked about each buyer; it admits everybody.
    pub guarded: bool,
}

impl Terms {
    /// So many units, one each, and an hour to pay.
    #[must_use]
    pub fn units(units: u32) -> Self {
        Self {
            units,
            quantity: 1,
            pay_within: Duration::from_hours(1),
            opens_in: Duration::ZERO,
            guarded: false,
        }
    }

    /// So many units, two each.
    #[must_use]
    pub fn pairs(units: u32) -> Self {
        Self {
            quantity: 2,
            ..Self::units(units)
        }
    }
}

/// A sale that is open.
pub struct Shop<'a> {
    /// Where.
    pub fleet: &'a Fleet,
    /// The spike.
    pub spike_id: SpikeId,
    /// As it was opened.
    pub terms: Terms,
    /// When it opens.
    pub starts_at: Timestamp,
}

/// Somebody who came.
#[derive(Debug, Clone)]
pub struct Shopper {
    /// Who.
    pub buyer: Buyer,
    /// The id of every 202, in their order; the same id once.
    pub accepted: Vec<OrderId>,
    /// How it ended.
    pub end: End,
}

/// How a buyer's attempt ended.
#[derive(Debug, Clone)]
pub enum End {
    /// With an order that is in the store.
    Order(OrderView),
    /// All is sold.
    Refused,
    /// Without a final answer, or with one that should not be.
    Failed(String),
}

impl<'a> Shop<'a> {
    /// Opens a sale.
    pub async fn open(fleet: &'a Fleet, terms: Terms) -> anyhow::Result<Self> {
        let settings = settings(terms)?;
        let starts_at = settings.starts_at;
        let settings = serde_json::to_value(settings)?;
        let request = Request::post("/admin/spikes").json(&settings);
        // A try without an answer may have made a spike, which nobody will ever look at.
        let made = settle(&fleet.client, &request.bearer(&fleet.admin_bearer)).await?;
        let made: Value = made.success("POST /admin/spikes")?.json()?;
        let spike_id = made["spike_id"].as_str().context("no spike_id")?.parse()?;
        Ok(Self {
            fleet,
            spike_id,
            terms,
            starts_at,
        })
    }

    /// Sends so many buyers, the first `skipped` apart, at even distances within the window.
    #[must_use]
    pub fn crowd(&self, skipped: usize, count: u32, window: Duration) -> Crowd {
        let mut tasks = JoinSet::new();
        let buyers = self.fleet.buyers.iter().skip(skipped).cloned();
        for (index, buyer) in (0..count).zip(buyers) {
            let (client, spike_id) = (Arc::clone(&self.fleet.client), self.spike_id);
            let due = window * index / count.max(1);
            let quantity = self.terms.quantity;
            tasks.spawn(async move {
                sleep(due).await;
                let mut accepted = Vec::new();
                let way = Way {
                    client: &client,
                    buyer: &buyer,
                    spike_id,
                    quantity,
                    until: Instant::now() + PATIENCE,
                };
                let end = match way.walk(&mut accepted).await {
                    Ok(end) => end,
                    Err(error) => End::Failed(format!("{}: {error:#}", buyer.username)),
                };
                Shopper {
                    buyer,
                    accepted,
                    end,
                }
            });
        }
        Crowd(tasks)
    }

    /// What it takes for the buyer of this number to order, with a path token of this moment.
    pub async fn order(&self, buyer: usize) -> anyhow::Result<Request> {
        let buyer = &self.fleet.buyers[buyer];
        let token = Request::post(format!("/spikes/{}/token", self.spike_id));
        let token = self.ask(buyer, token).await?.success("a path token")?;
        let PathToken { token } = token.json()?;
        let order = Request::post(format!("/spikes/{}/orders/{token}", self.spike_id));
        let order = order.json(&json!({ "quantity": self.terms.quantity }));
        Ok(order.bearer(&buyer.bearer))
    }

    /// What `Location` shows the buyer of this number now.
    pub async fn mine(&self, buyer: usize) -> anyhow::Result<Answer> {
        let path = format!("/spikes/{}/order", self.spike_id);
        self.ask(&self.fleet.buyers[buyer], Request::get(path))
            .await
    }

    /// The buyer of this number tries on until there is an end, as one of a crowd.
    pub async fn goes_on(&self, buyer: usize) -> anyhow::Result<Shopper> {
        let shoppers = self.crowd(buyer, 1, Duration::ZERO).ends().await;
        shoppers.into_iter().next().context("nobody came")
    }

    /// The sale's figures.
    pub async fn stats(&self) -> anyhow::Result<Stats> {
        let path = format!("/admin/spikes/{}/stats", self.spike_id);
        self.admin(Request::get(path))
            .await?
            .success("the stats")?
            .json()
    }

    /// Asks as the admin.
    pub async fn admin(&self, request: Request) -> anyhow::Result<Answer> {
        settle(
            &self.fleet.client,
            &request.bearer(&self.fleet.admin_bearer),
        )
        .await
    }

    /// Asks as a buyer.
    pub async fn ask(&self, buyer: &Buyer, request: Request) -> anyhow::Result<Answer> {
        settle(&self.fleet.client, &request.bearer(&buyer.bearer)).await
    }
}

/// Buyers on their way.
pub struct Crowd(JoinSet<Shopper>);

impl Crowd {
    /// Waits for all.
    pub async fn ends(self) -> Vec<Shopper> {
        self.0.join_all().await
    }
}

fn settings(terms: Terms) -> anyhow::Result<Settings> {
    let now = runtime::clock::system()();
    Ok(Settings {
        name: "To be broken".to_owned(),
        description: String::new(),
        stock: terms.units,
        limit_per_user: terms.quantity,
        price: Money {
            amount_minor: 4900,
            currency: "EUR".parse()?,
        },
        // Open for a moment already, unless it is to open later.
        starts_at: if terms.opens_in.is_zero() {
            now - Duration::from_secs(2)
        } else {
            now + terms.opens_in
        },
        ends_at: now + Duration::from_hours(1),
        pay_within_secs: u32::try_from(terms.pay_within.as_secs())?,
        rules: terms.guarded.then(everybody).into_iter().collect(),
        expected_buyers: None,
    })
}

fn everybody() -> Rule {
    Rule {
        name: "everybody".to_owned(),
        allow_if: "user.id != ''".to_owned(),
        reason: "Only for somebody.".to_owned(),
    }
}

/// Asks until there is an answer that is neither silence nor a refusal of the moment.
pub async fn settle(client: &Client, request: &Request) -> anyhow::Result<Answer> {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = client.send(request).await;
        let passing = match &answer {
            Ok(answer) => is_passing(answer),
            Err(_) => true,
        };
        if !passing || Instant::now() > until {
            return answer;
        }
        sleep(AGAIN).await;
    }
}

fn is_passing(answer: &Answer) -> bool {
    [425, 429, 503].contains(&answer.status.as_u16())
}

struct Way<'a> {
    client: &'a Client,
    buyer: &'a Buyer,
    spike_id: SpikeId,
    quantity: u32,
    until: Instant,
}

impl Way<'_> {
    async fn walk(&self, accepted: &mut Vec<OrderId>) -> anyhow::Result<End> {
        // A try without an answer, or with a 503, may have won.
        let mut doubtful = false;
        while Instant::now() < self.until {
            sleep(AGAIN.mul_f64(rand::random_range(0.0..0.5))).await;
            let Some(token) = self.token().await? else {
                continue;
            };
            let path = format!("/spikes/{}/orders/{token}", self.spike_id);
            let order = Request::post(path).json(&json!({ "quantity": self.quantity }));
            let Ok(answer) = self.once(order).await else {
                doubtful = true;
                continue;
            };
            match answer.outcome().as_str() {
                "202" => {
                    let Accepted { order_id } = answer.json()?;
                    if accepted.last() != Some(&order_id) {
                        accepted.push(order_id);
                    }
                    return self.follow(order_id).await;
                }
                "409 sold-out" | "409 not-enough" if doubtful => {
                    return Ok(self.mine().await?.map_or(End::Refused, End::Order));
                }
                "409 sold-out" | "409 not-enough" => return Ok(End::Refused),
                // Redis has just lost the window's end, or the token's clock was another's.
                "404 bad-token" | "409 paused" => {}
                _ if is_passing(&answer) => doubtful |= answer.status.as_u16() == 503,
                outcome => bail!("an order was answered with {outcome}"),
            }
            sleep(AGAIN).await;
        }
        bail!("no final answer")
    }

    async fn token(&self) -> anyhow::Result<Option<String>> {
        let path = format!("/spikes/{}/token", self.spike_id);
        match self.once(Request::post(path)).await {
            Ok(answer) if answer.status.as_u16() == 200 => {
                Ok(Some(answer.json::<PathToken>()?.token))
            }
            Ok(answer) if is_passing(&answer) => {
                sleep(AGAIN).await;
                Ok(None)
            }
            Ok(answer) => bail!("a path token was answered with {}", answer.outcome()),
            Err(_) => Ok(None),
        }
    }

    /// From a 202 to the order.
    async fn follow(&self, order_id: OrderId) -> anyhow::Result<End> {
        let path = format!("/orders/{order_id}");
        while Instant::now() < self.until {
            if let Ok(answer) = self.once(Request::get(path.as_str())).await {
                match answer.status.as_u16() {
                    200 => {
                        let view: OrderView = answer.json()?;
                        if view.is_durable() {
                            return Ok(End::Order(view));
                        }
                    }
                    // It is still queued.
                    404 => {}
                    _ if is_passing(&answer) => {}
                    _ => bail!("an order was answered with {}", answer.outcome()),
                }
            }
            sleep(AGAIN).await;
        }
        bail!("order {order_id} was promised and never came")
    }

    /// What `Location` shows, once it is durable.
    async fn mine(&self) -> anyhow::Result<Option<OrderView>> {
        let path = format!("/spikes/{}/order", self.spike_id);
        while Instant::now() < self.until {
            if let Ok(answer) = self.once(Request::get(path.as_str())).await {
                match answer.status.as_u16() {
                    200 => {
                        let view: OrderView = answer.json()?;
                        if view.is_durable() {
                            return Ok(Some(view));
                        }
                    }
                    404 => return Ok(None),
                    _ if is_passing(&answer) => {}
                    _ => bail!("Location was answered with {}", answer.outcome()),
                }
            }
            sleep(AGAIN).await;
        }
        bail!("what Location showed never became an order")
    }

    async fn once(&self, request: Request) -> anyhow::Result<Answer> {
        self.client.send(&request.bearer(&self.buyer.bearer)).await
    }
}

/// What a spike is set to.
pub const SETTINGS: [&str; 9] = [
    "name",
    "description",
    "stock",
    "limit_per_user",
    "price",
    "starts_at",
    "ends_at",
    "pay_within_secs",
    "rules",
];

/// Ends every sale that is not over, as the admin: while one is open, no capacity is changed.
pub async fn end_all_sales(
    client: &Client,
    base_url: &str,
    admin_bearer: &HeaderValue,
) -> anyhow::Result<()> {
    let mut path = "/admin/spikes".to_owned();
    let changes = reqwest::Client::new();
    loop {
        let page = Request::get(path).bearer(admin_bearer);
        let page: Value = settle(client, &page).await?.success("spikes")?.json()?;
        for spike in page["spikes"].as_array().into_iter().flatten() {
            if spike["status"] == "ended" {
                continue;
            }
            let id = spike["spike_id"].as_str().context("no id")?;
            let path = format!("{base_url}/admin/spikes/{id}");
            let mut settings = serde_json::Map::new();
            for name in SETTINGS {
                settings.insert(name.to_owned(), spike[name].clone());
            }
            let now: Timestamp = runtime::clock::system()();
            let ends_at = now - Duration::from_millis(500);
            settings.insert("ends_at".to_owned(), json!(ends_at));
            // What has not begun cannot have ended.
            let change = if spike["status"] == "upcoming" {
                changes.delete(path)
            } else {
                changes.put(path).json(&settings)
            };
            let change = change.header(header::AUTHORIZATION, admin_bearer);
            let version = format!("\"{}\"", spike["version"]);
            let ended = change.header(header::IF_MATCH, version).send().await?;
            let status = ended.status();
            ensure!(status.is_success(), "{status}: {}", ended.text().await?);
        }
        match page["next"].as_str() {
            Some(cursor) => path = format!("/admin/spikes?cursor={cursor}"),
            None => return Ok(()),
        }
    }
}
