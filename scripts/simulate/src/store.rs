//! The durable store in memory: every promise of the port, one step a call.
//!
//! It passes the same conformance suite as the real adapters. Under the scheduler a call can be lost before or after it
//! happens, and the listings that may lag ([`store::Spikes::live_spikes`], [`store::Orders::due`]) do so in
//! some schedules.

mod accounts;
mod orders;
mod spikes;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{Order, OrderId, Spike, SpikeId, Timestamp, Unit, User, UserId, Username};
use store::{DeadLetter, Error, Holder, LoginAttempts, Page, Session, Store};

use crate::{
    mutation::Mutation,
    steps::{At, Choice, Port},
};

/// Everything that the store keeps.
#[derive(Debug, Default)]
pub struct State {
    users: BTreeMap<UserId, User>,
    names: HashMap<Username, UserId>,
    sessions: HashMap<String, (Session, bool)>,
    revoked: HashMap<String, bool>,
    attempts: HashMap<Username, LoginAttempts>,
    /// Spikes by id.
    pub spikes: BTreeMap<SpikeId, Spike>,
    /// Orders by id.
    pub orders: BTreeMap<OrderId, Order>,
    /// Ended orders that are due later than when they ended.
    postponed: BTreeMap<OrderId, Timestamp>,
    /// Who holds a unit.
    pub units: BTreeMap<(SpikeId, Unit), Holder>,
    /// Which order has a buyer's place.
    pub places: BTreeMap<(SpikeId, UserId), OrderId>,
    /// Dead letters, and when each came last.
    letters: BTreeMap<String, (DeadLetter, Timestamp)>,
    /// How often something was written.
    pub writes: u64,
    /// What listings show, where they lag behind what is written.
    listed: Option<(BTreeMap<SpikeId, Spike>, BTreeMap<OrderId, Order>)>,
}

/// A handle on the store: of a process under the scheduler, or free of it.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    port: Option<Port>,
    mutation: Option<Mutation>,
}

impl MemoryStore {
    /// An empty store, in which `mutation` is wrong.
    #[must_use]
    pub fn new(mutation: Option<Mutation>) -> Self {
        Self {
            mutation,
            ..Self::default()
        }
    }

    /// The same store as a process sees it.
    #[must_use]
    pub fn of(&self, port: Port) -> Self {
        Self {
            port: Some(port),
            ..self.clone()
        }
    }

    /// What is in it.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on listings show what is there now, until the next time.
    pub fn catch_up(&self) {
        let mut state = self.state();
        state.listed = Some((state.spikes.clone(), state.orders.clone()));
    }

    /// From now on listings show what is there.
    pub fn keep_up(&self) {
        self.state().listed = None;
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// One call.
    async fn step<T: std::fmt::Debug>(
        &self,
        what: impl FnOnce() -> String,
        effect: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let choice = match &self.port {
            Some(port) => port.enter(At::Store, || format!("store: {}", what())).await,
            None => Choice::Proceed,
        };
        if let Some(port) = &self.port
            && choice != Choice::Proceed
        {
            port.steps.saw("call of the store without an answer");
        }
        if choice == Choice::FailBefore {
            return Err(silence());
        }
        let answer = effect(&mut self.state());
        if choice == Choice::FailAfter {
            return Err(silence());
        }
        if let Some(port) = &self.port {
            port.steps.note(|| format!("       -> {answer:?}"));
        }
        answer
    }
}

impl Store for MemoryStore {}

fn silence() -> Error {
    Error::Unavailable("no answer".into())
}

/// A page of what is listed in this order; a cursor is the number of the entries before it.
fn page<T: Clone>(listed: &[T], cursor: Option<&str>, limit: u32) -> Result<Page<T>, Error> {
    let first = match cursor {
        None => 0,
        Some(cursor) => cursor
            .strip_prefix("from-")
            .and_then(|number| number.parse::<usize>().ok())
            .filter(|first| *first <= listed.len())
            .ok_or(Error::Cursor)?,
    };
    let limit = limit.clamp(1, 1000) as usize;
    let last = (first + limit).min(listed.len());
    Ok(Page {
        items: listed[first..last].to_vec(),
        next: (last < listed.len()).then(|| format!("from-{last}")),
    })
}
