//! Placing orders: the write that decides who has which unit.
//!
//! One transaction writes orders and claims by plain INSERTs of many rows, orders by id and claims by key. If a key is
//! taken, all of it is rolled back and the reasons are read: those orders that something speaks against have their answer,
//! and the others go again together, so that neighbours are not harmed.
//!
//! Reasons are read claims first, then orders, in one statement each. An order never goes away once it is there, so an
//! order that is absent now was absent when the claims were read: the claims are the reason, and no snapshot is needed.

use std::collections::{HashMap, HashSet, VecDeque};

use domain::{Order, OrderId};

use super::{
    MySqlStore,
    call::{Failure, token},
    claims::{self, Item, Key, Record},
    order_rows::{self, Stored},
    session::Session,
};
use crate::{Error, Placement, backoff::Backoff};

/// How many orders one transaction writes at most, and how many claims.
const ORDERS: usize = 100;
const CLAIMS: usize = 1000;

type Answer = Result<Placement, Error>;

/// Divides orders into transactions: few enough rows, and no key twice. Their sequence stays.
fn divide(orders: &[Order]) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
    for (index, order) in orders.iter().enumerate() {
        let claims: Vec<Key> = claims::of_order(order).map(|claim| claim.key).collect();
        let is_apart = !ids.contains(&order.id) && !claims.iter().any(|key| keys.contains(key));
        let has_room = ids.len() < ORDERS && keys.len() + claims.len() <= CLAIMS;
        if !is_apart || !has_room || batches.is_empty() {
            batches.push(Vec::new());
            ids.clear();
            keys.clear();
        }
        ids.insert(order.id);
        keys.extend(claims);
        if let Some(batch) = batches.last_mut() {
            batch.push(index);
        }
    }
    batches
}

/// What is there of what a batch wanted to write.
struct Found {
    claims: HashMap<Key, Record>,
    orders: HashMap<OrderId, Result<Stored, Error>>,
}

impl Found {
    /// The first reason against the order; none if there is none any more.
    fn reason(&mut self, order: &Order, token: [u8; 16]) -> Option<Answer> {
        if let Some(there) = self.orders.remove(&order.id) {
            return Some(there.map(|there| {
                if there.written_by == token {
                    // By an earlier try of this call, whose answer was lost.
                    Placement::Written
                } else {
                    Placement::Exists(Box::new(there.order))
                }
            }));
        }
        let held: Vec<&Record> = claims::of_order(order)
            .filter_map(|claim| self.claims.get(&claim.key))
            .collect();
        let place = held
            .iter()
            .find(|claim| matches!(claim.key.item, Item::Place(_)));
        if let Some(place) = place {
            return Some(Ok(Placement::BuyerHas(OrderId::from_bytes(place.order_id))));
        }
        let others: Vec<_> = held.iter().filter_map(|claim| claim.claim()).collect();
        (!others.is_empty()).then_some(Ok(Placement::UnitsTaken(others)))
    }
}

/// Writes all of them in one transaction; what is there instead, if a key is taken.
async fn write(
    mut session: Session,
    orders: &[&Order],
    token: [u8; 16],
) -> Result<Option<Found>, Failure> {
    session.begin().await?;
    match insert(&mut session, orders, token).await {
        Ok(()) => {
            session.commit().await?;
            return Ok(None);
        }
        Err(Failure::Duplicate) => session.roll_back().await?,
        Err(failure) => return Err(failure),
    }
    let wanted = orders.iter().flat_map(|order| claims::of_order(order));
    let wanted = wanted.map(|claim| claim.key).collect();
    let claims = claims::select(&mut session, wanted).await?;
    let ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
    Ok(Some(Found {
        claims: claims.into_iter().map(|claim| (claim.key, claim)).collect(),
        orders: order_rows::select(&mut session, &ids).await?,
    }))
}

async fn insert(session: &mut Session, orders: &[&Order], token: [u8; 16]) -> Result<(), Failure> {
    order_rows::insert(session, orders, token).await?;
    let claims = orders.iter().flat_map(|order| claims::of_order(order));
    claims::insert(session, claims.collect()).await
}

impl MySqlStore {
    /// [`crate::Orders::place`].
    pub(super) async fn place_all(&self, orders: &[Order]) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = orders.iter().map(|_| None).collect();
        let mut batches = VecDeque::from(divide(orders));
        while let Some(batch) = batches.pop_front() {
            let alone = self.place_batch(orders, batch, &mut answers).await;
            batches.extend(alone.into_iter().map(|index| vec![index]));
        }
        let answers = answers.into_iter().map(|answer| {
            answer.unwrap_or_else(|| Err(Error::Unavailable("the order was not tried".into())))
        });
        answers.collect()
    }

    /// Places orders that have no key in common. Answers with those that have to be tried alone: what the server refuses
    /// is the fault of one of them.
    async fn place_batch(
        &self,
        orders: &[Order],
        mut waiting: Vec<usize>,
        answers: &mut [Option<Answer>],
    ) -> Vec<usize> {
        let token = token();
        let mut backoff = Backoff::patient_for(self.patience.total);
        while !waiting.is_empty() {
            let batch: Vec<&Order> = waiting.iter().map(|index| &orders[*index]).collect();
            let batch = batch.as_slice();
            let tried = self.call("orders.place", |session, _| write(session, batch, token));
            let before = waiting.len();
            match tried.await {
                Ok(None) => settle(&mut waiting, answers, |_| Some(Ok(Placement::Written))),
                Ok(Some(mut found)) => settle(&mut waiting, answers, |index| {
                    found.reason(&orders[index], token)
                }),
                Err(Error::Unavailable(error)) => settle(&mut waiting, answers, |_| {
                    Some(Err(Error::Unavailable(error.to_string().into())))
                }),
                Err(_) if before > 1 => return waiting,
                Err(Error::Corrupt(what)) => settle(&mut waiting, answers, |_| {
                    Some(Err(Error::Corrupt(what.clone())))
                }),
                Err(Error::Cursor) => settle(&mut waiting, answers, |_| Some(Err(Error::Cursor))),
            }
            if waiting.len() < before {
                backoff.progressed();
            } else if !backoff.pause().await {
                let conflict = || Error::Unavailable("orders are in conflict with others".into());
                settle(&mut waiting, answers, |_| Some(Err(conflict())));
            }
        }
        waiting
    }
}

/// Gives those their answer that have one now; the others go on waiting.
fn settle(
    waiting: &mut Vec<usize>,
    answers: &mut [Option<Answer>],
    mut answer: impl FnMut(usize) -> Option<Answer>,
) {
    waiting.retain(|index| {
        answers[*index] = answer(*index);
        answers[*index].is_none()
    });
}
