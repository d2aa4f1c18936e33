//! One buyer's way, and ten thousand buyers at once.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use domain::SpikeId;
use futures::future::{self, Either};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    api::{Accepted, Access, OrderView, PathToken},
    client::{Answer, Client, Request},
    funnel::{Funnel, Step},
    patience::{Patience, Settled},
    progress::Progress,
    users::Buyer,
};

/// How a buyer's attempt ended.
#[derive(Debug, Clone)]
pub enum End {
    /// With an order.
    Bought(Bought),
    /// With the one refusal that a sale may end with: `409 sold-out`, or `409 not-enough` for more than one unit.
    Refused(String),
    /// Without a final answer, or with one that should not be.
    Failed(String),
}

/// An order that was accepted and became durable.
#[derive(Debug, Clone)]
pub struct Bought {
    /// The order as its owner reads it.
    pub order: OrderView,
    /// When the order was accepted.
    pub accepted_at: Instant,
    /// When it was first seen to be durable.
    pub durable_at: Instant,
}

/// What all buyers of a sale share.
pub struct Sale {
    /// Where to buy.
    pub client: Arc<Client>,
    /// The spike.
    pub spike_id: SpikeId,
    /// How many units each wants.
    pub quantity: u32,
    /// How long a buyer goes on trying.
    pub patience: Duration,
    /// What became of all requests.
    pub funnel: Funnel,
    /// How far the buyers are.
    pub progress: Progress,
}

impl Sale {
    /// Sends the buyers off at random moments of the `window` that begins at `starts_at`, whatever becomes of those
    /// before them, and waits for all. The ends are in the order of the buyers.
    pub async fn stampede(
        self: &Arc<Self>,
        buyers: &[Buyer],
        starts_at: Instant,
        window: Duration,
    ) -> anyhow::Result<Vec<End>> {
        let mut tasks = JoinSet::new();
        for (index, buyer) in buyers.iter().cloned().enumerate() {
            let due = starts_at + window.mul_f64(rand::random::<f64>());
            let sale = Arc::clone(self);
            tasks.spawn(async move {
                tokio::time::sleep_until(due).await;
                sale.progress.arrived.fetch_add(1, Ordering::Relaxed);
                let end = sale.buy(&buyer, due).await;
                sale.count(&end);
                (index, end)
            });
        }
        let shown = self.progress.show(&self.funnel, starts_at, buyers.len());
        let ends = match future::select(Box::pin(tasks.join_all()), Box::pin(shown)).await {
            Either::Left((ends, _)) => ends,
            Either::Right(((), _)) => bail!("the progress came to an end before the race"),
        };
        self.progress.end_line();
        let mut ends = ends;
        ends.sort_by_key(|(index, _)| *index);
        Ok(ends.into_iter().map(|(_, end)| end).collect())
    }

    fn count(&self, end: &End) {
        let count = match end {
            End::Bought(_) => &self.progress.bought,
            End::Refused(_) => &self.progress.refused,
            End::Failed(_) => &self.progress.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// One buyer's whole way. The first request is due at `due`, each other when the one before it is answered.
    pub async fn buy(&self, buyer: &Buyer, due: Instant) -> End {
        let way = Way {
            sale: self,
            buyer,
            patience: Patience {
                client: &self.client,
                funnel: &self.funnel,
                until: due + self.patience,
            },
        };
        match way.walk(due).await {
            Ok(end) => end,
            Err(error) => End::Failed(format!("{}: {error:#}", buyer.username)),
        }
    }
}

struct Way<'a> {
    sale: &'a Sale,
    buyer: &'a Buyer,
    patience: Patience<'a>,
}

impl Way<'_> {
    async fn walk(&self, due: Instant) -> anyhow::Result<End> {
        let spike = format!("/spikes/{}", self.sale.spike_id);
        let access = self.ask(Step::Access, Request::get(format!("{spike}/access")), due);
        let access = access.await.answer?;
        let access = access.success("the access check")?;
        // The race's spike admits everybody.
        if !access.json::<Access>()?.allowed {
            bail!("no access");
        }
        let token = Request::post(format!("{spike}/token"));
        let token = self.ask(Step::Token, token, Instant::now()).await.answer?;
        let PathToken { token } = token.success("the path token")?.json()?;
        let order = Request::post(format!("{spike}/orders/{token}"))
            .json(&serde_json::json!({ "quantity": self.sale.quantity }));
        let order = self.ask(Step::Order, order, Instant::now()).await;
        self.follow(order, format!("{spike}/order")).await
    }

    /// From the answer to the order to the order itself.
    async fn follow(&self, order: Settled, my_order: String) -> anyhow::Result<End> {
        let accepted_at = Instant::now();
        let answer = order.answer?;
        let promised = if answer.status.as_u16() == 202 {
            Some(answer.json::<Accepted>()?.order_id)
        } else if !self.is_refusal(&answer) {
            return Err(anyhow!(answer.outcome())).context("not an answer to a buyer");
        } else if order.doubtful {
            // An earlier try may have won although its answer was lost: `Location` knows.
            None
        } else {
            return Ok(End::Refused(answer.outcome()));
        };
        let location = answer.location().unwrap_or(my_order);
        let Some(view) = self.poll(location, promised.is_none()).await? else {
            return Ok(End::Refused(answer.outcome()));
        };
        let durable_at = Instant::now();
        let outcome = view.state.clone();
        self.sale
            .funnel
            .record(Step::Durable, outcome, durable_at - accepted_at);
        if promised.is_some_and(|promised| promised != view.order_id) {
            bail!("promised order {promised:?}, got {}", view.order_id);
        }
        let read = Request::get(format!("/orders/{}", view.order_id));
        let read = self.ask(Step::Read, read, Instant::now()).await.answer?;
        let order: OrderView = read.success("GET /orders/{order_id}")?.json()?;
        if order != view {
            bail!(
                "GET /orders/{} differs from what Location showed",
                view.order_id
            );
        }
        Ok(End::Bought(Bought {
            order,
            accepted_at,
            durable_at,
        }))
    }

    /// Asks `location` until the order is durable; `None` if there is no order and that `may_be`.
    async fn poll(&self, location: String, may_be: bool) -> anyhow::Result<Option<OrderView>> {
        let request = Request::get(location);
        let mut due = Instant::now();
        loop {
            let answer = self.ask(Step::Poll, request.clone(), due).await.answer?;
            if may_be && answer.status.as_u16() == 404 {
                return Ok(None);
            }
            let answer = answer.success("the order's Location")?;
            let view: OrderView = answer.json()?;
            if view.is_durable() {
                return Ok(Some(view));
            }
            let wait = answer.retry_after().unwrap_or(Duration::from_secs(1));
            due = Instant::now() + wait;
            if due > self.patience.until {
                bail!("order {} was still queued at last", view.order_id);
            }
            tokio::time::sleep_until(due).await;
        }
    }

    /// Whether the answer is one that a buyer may have to live with: too few units are left.
    fn is_refusal(&self, answer: &Answer) -> bool {
        match answer.outcome().as_str() {
            "409 sold-out" => true,
            "409 not-enough" => self.sale.quantity > 1,
            _ => false,
        }
    }

    async fn ask(&self, step: Step, request: Request, due: Instant) -> Settled {
        let request = request.bearer(&self.buyer.bearer);
        self.patience.settle(step, &request, due).await
    }
}

#[cfg(test)]
mod tests;
