//! Orders and claims.

use async_trait::async_trait;
use domain::{
    Order, OrderId, OrderState, SpikeId, Timestamp, Unit, Units, UserId,
    order::{Payment, Refund, Transition},
};
use store::{Claim, Error, Holder, Orders, Page, Placement, Refunded, Rejection, Transitioned};

use super::{MemoryStore, State, page, silence};
use crate::{
    mutation::Mutation,
    steps::{At, Choice},
};

#[async_trait]
impl Orders for MemoryStore {
    async fn place(&self, orders: &[Order]) -> Vec<Result<Placement, Error>> {
        let choice = match &self.port {
            Some(port) => {
                let what = || {
                    let ids = orders
                        .iter()
                        .map(|order| format!("{} {:?}", order.id, order.units));
                    format!("store: place {}", ids.collect::<Vec<_>>().join(", "))
                };
                port.enter(At::Store, what).await
            }
            None => Choice::Proceed,
        };
        let mut answers = Vec::new();
        for order in orders {
            // Of a batch a part is throttled.
            let is_spared = orders.len() > 1 && order.id.as_bytes()[15] % 2 == 0;
            let choice = if is_spared { Choice::Proceed } else { choice };
            answers.push(match choice {
                Choice::FailBefore => Err(silence()),
                Choice::Proceed => Ok(self.place_one(order)),
                Choice::FailAfter => {
                    self.place_one(order);
                    Err(silence())
                }
            });
        }
        if let Some(port) = &self.port {
            port.steps.note(|| format!("       -> {answers:?}"));
            let throttled = answers.iter().filter(|answer| answer.is_err()).count();
            if throttled > 0 && throttled < answers.len() {
                port.steps.saw("batch throttled in part");
            }
            if answers
                .iter()
                .any(|it| matches!(it, Ok(Placement::UnitsTaken(_))))
            {
                port.steps.saw("conflict");
            }
        }
        answers
    }

    async fn reject(&self, order: &Order) -> Result<Rejection, Error> {
        self.step(
            || format!("reject {} {:?}", order.id, order.reason),
            |state| {
                if let Some(there) = state.orders.get(&order.id) {
                    return Ok(Rejection::Exists(Box::new(there.clone())));
                }
                state.orders.insert(order.id, order.clone());
                state.writes += 1;
                Ok(Rejection::Written)
            },
        )
        .await
    }

    async fn order(&self, id: OrderId) -> Result<Option<Order>, Error> {
        self.step(
            || format!("order {id}"),
            |state| Ok(state.orders.get(&id).cloned()),
        )
        .await
    }

    async fn orders(&self, ids: &[OrderId]) -> Result<Vec<Order>, Error> {
        self.step(
            || format!("{} orders", ids.len()),
            |state| {
                let found = state
                    .orders
                    .values()
                    .filter(|order| ids.contains(&order.id));
                Ok(found.cloned().collect())
            },
        )
        .await
    }

    async fn live_order(&self, spike_id: SpikeId, user_id: UserId) -> Result<Option<Order>, Error> {
        self.step(
            || "live order".to_owned(),
            |state| {
                let id = state.places.get(&(spike_id, user_id));
                Ok(id.and_then(|id| state.orders.get(id).cloned()))
            },
        )
        .await
    }

    async fn newest_order(
        &self,
        spike_id: SpikeId,
        user_id: UserId,
    ) -> Result<Option<Order>, Error> {
        self.step(
            || "newest order".to_owned(),
            |state| {
                let mut theirs = state.newest_first(user_id).into_iter();
                Ok(theirs.find(|order| order.spike_id == spike_id))
            },
        )
        .await
    }

    async fn orders_page(
        &self,
        user_id: UserId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Order>, Error> {
        self.step(
            || "orders of a user".to_owned(),
            |state| page(&state.newest_first(user_id), cursor, limit),
        )
        .await
    }

    async fn pay(&self, id: OrderId, payment: &Payment) -> Result<Transitioned, Error> {
        self.step(
            || format!("pay {id}"),
            |state| {
                let Some(order) = state.orders.get_mut(&id) else {
                    return Ok(Transitioned::Unknown);
                };
                let Some(paid) = order.state.after(Transition::Pay) else {
                    return Ok(Transitioned::NotPlaced(Box::new(order.clone())));
                };
                order.state = paid;
                order.payment = Some(payment.clone());
                state.writes += 1;
                Ok(Transitioned::Done(Box::new(order.clone())))
            },
        )
        .await
    }

    async fn end(
        &self,
        id: OrderId,
        transition: Transition,
        now: Timestamp,
    ) -> Result<Transitioned, Error> {
        let ignores_payments = self.is(Mutation::ExpiryIgnoresPayment);
        let keeps_claims = self.is(Mutation::EndKeepsClaims);
        self.step(
            || format!("end {id} {transition:?}"),
            |state| {
                if transition == Transition::Pay {
                    return Err(Error::Corrupt("no end".to_owned()));
                }
                let Some(order) = state.orders.get_mut(&id) else {
                    return Ok(Transitioned::Unknown);
                };
                let ended = match transition {
                    Transition::Expire if ignores_payments && order.state == OrderState::Paid => {
                        Some(OrderState::Expired)
                    }
                    _ => order.state.after(transition),
                };
                let Some(ended) = ended else {
                    return Ok(Transitioned::NotPlaced(Box::new(order.clone())));
                };
                order.state = ended;
                order.ended_at = Some(now);
                let order = order.clone();
                state.writes += 1;
                if !keeps_claims {
                    state.free(&order);
                }
                Ok(Transitioned::Done(Box::new(order)))
            },
        )
        .await
    }

    async fn mark_released(&self, id: OrderId) -> Result<(), Error> {
        self.step(
            || format!("mark released {id}"),
            |state| {
                if let Some(order) = state.orders.get_mut(&id)
                    && !order.state.is_live()
                {
                    order.released = true;
                }
                Ok(())
            },
        )
        .await
    }

    async fn postpone(&self, id: OrderId, until: Timestamp) -> Result<(), Error> {
        self.step(
            || format!("postpone {id}"),
            |state| {
                let order = state.orders.get(&id);
                if order.is_some_and(|order| !order.state.is_live() && !order.released) {
                    state.postponed.insert(id, until);
                }
                Ok(())
            },
        )
        .await
    }

    async fn refund(&self, id: OrderId, refund: &Refund) -> Result<Refunded, Error> {
        self.step(
            || format!("refund {id}"),
            |state| {
                let Some(order) = state.orders.get_mut(&id) else {
                    return Ok(Refunded::Unknown);
                };
                if order.state.is_live() {
                    return Ok(Refunded::Live(Box::new(order.clone())));
                }
                order.refund.get_or_insert_with(|| refund.clone());
                Ok(Refunded::Recorded(Box::new(order.clone())))
            },
        )
        .await
    }

    async fn refunds_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<Order>, Error> {
        self.step(
            || "refunds".to_owned(),
            |state| {
                let owed = state.orders.values().filter(|order| order.refund.is_some());
                let mut owed: Vec<Order> = owed.cloned().collect();
                let recorded_at = |order: &Order| order.refund.as_ref().map(|it| it.recorded_at);
                owed.sort_by_key(|order| std::cmp::Reverse((recorded_at(order), order.id)));
                page(&owed, cursor, limit)
            },
        )
        .await
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Order>, Error> {
        self.step(
            || "due orders".to_owned(),
            |state| {
                let due_at = |order: &Order| {
                    let postponed = state.postponed.get(&order.id).copied();
                    let due_at = order.due_at()?;
                    Some(postponed.unwrap_or(due_at)).filter(|at| *at <= now)
                };
                let listed = state.listed.as_ref().map_or(&state.orders, |it| &it.1);
                let mut due: Vec<Order> = listed
                    .values()
                    .filter(|order| due_at(order).is_some())
                    .cloned()
                    .collect();
                due.sort_by_key(|order| (due_at(order), order.id));
                due.truncate(limit.clamp(1, 1000) as usize);
                Ok(due)
            },
        )
        .await
    }

    async fn claims(
        &self,
        spike_id: SpikeId,
        first: Unit,
        last: Unit,
    ) -> Result<Vec<Claim>, Error> {
        self.step(
            || format!("claims {first} to {last}"),
            |state| Ok(state.claims_of(spike_id, |unit| (first..=last).contains(&unit))),
        )
        .await
    }

    async fn claims_on(&self, spike_id: SpikeId, units: &Units) -> Result<Vec<Claim>, Error> {
        self.step(
            || format!("claims on {units:?}"),
            |state| Ok(state.claims_of(spike_id, |unit| units.contains(unit))),
        )
        .await
    }
}

impl MemoryStore {
    fn place_one(&self, order: &Order) -> Placement {
        let mut state = self.state();
        let state = &mut *state;
        if let Some(there) = state.orders.get(&order.id) {
            let revives = self.is(Mutation::LateDuplicateRevives) && !there.state.is_live();
            if !revives {
                return Placement::Exists(Box::new(there.clone()));
            }
        }
        if let Some(other) = state.places.get(&(order.spike_id, order.user_id))
            && !self.is(Mutation::BuyersPlaceIgnored)
        {
            return Placement::BuyerHas(*other);
        }
        let taken = state.claims_of(order.spike_id, |unit| order.units.contains(unit));
        if !taken.is_empty() && self.is(Mutation::ConflictTakenForDone) {
            return Placement::Written;
        }
        if self.is(Mutation::RejectsForNothing)
            && let Some(Holder::Order { order_id, .. }) = taken.first().map(|claim| claim.holder)
        {
            return Placement::BuyerHas(order_id);
        }
        if !taken.is_empty() && !self.is(Mutation::UnitClaimsIgnored) {
            return Placement::UnitsTaken(taken);
        }
        let (order_id, user_id) = (order.id, order.user_id);
        for unit in order.units.iter() {
            let holder = Holder::Order { order_id, user_id };
            state.units.insert((order.spike_id, unit), holder);
        }
        state.places.insert((order.spike_id, user_id), order_id);
        state.orders.insert(order_id, order.clone());
        state.writes += 1;
        Placement::Written
    }
}

impl State {
    fn free(&mut self, order: &Order) {
        let theirs = |holder: &Holder| matches!(holder, Holder::Order { order_id, .. } if *order_id == order.id);
        for unit in order.units.iter() {
            let key = (order.spike_id, unit);
            if self.units.get(&key).is_some_and(theirs) {
                self.units.remove(&key);
            }
        }
        let place = (order.spike_id, order.user_id);
        if self.places.get(&place) == Some(&order.id) {
            self.places.remove(&place);
        }
    }

    /// Claims on those units of a spike that are asked for.
    pub fn claims_of(&self, spike_id: SpikeId, wanted: impl Fn(Unit) -> bool) -> Vec<Claim> {
        let claims = self.units.range((spike_id, 0)..=(spike_id, Unit::MAX));
        let claims = claims.filter(|((_, unit), _)| wanted(*unit));
        claims
            .map(|((_, unit), holder)| Claim {
                unit: *unit,
                holder: *holder,
            })
            .collect()
    }

    fn newest_first(&self, user_id: UserId) -> Vec<Order> {
        let theirs = self
            .orders
            .values()
            .filter(|order| order.user_id == user_id);
        let mut theirs: Vec<Order> = theirs.cloned().collect();
        theirs.sort_by_key(|order| std::cmp::Reverse(order.id));
        theirs
    }
}
