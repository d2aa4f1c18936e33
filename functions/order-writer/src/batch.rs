//! Orders that arrive together are written together.
//!
//! While one write is under way, further orders queue up; the next write takes them all. An order that comes alone
//! waits for nobody. No task outlives a delivery, which suits a function that is frozen between two.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use domain::Order;
use store::{Placement, Store};
use tokio::sync::{Mutex as Turn, oneshot};

/// The most orders of one write: with a unit each, 75 of the 100 items of a `TransactWriteItems` call.
const MOST_AT_ONCE: usize = 25;

type Answer = Result<Placement, store::Error>;

/// The queue in front of [`store::Orders::place`].
pub(crate) struct Batch {
    store: Arc<dyn Store>,
    waiting: Mutex<VecDeque<(Order, oneshot::Sender<Answer>)>>,
    turn: Turn<()>,
}

impl Batch {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            waiting: Mutex::default(),
            turn: Turn::new(()),
        }
    }

    /// Places the order, together with others that wait.
    ///
    /// A caller that goes away while it writes for others leaves them without an answer: they get
    /// [`store::Error::Unavailable`], and their events come again.
    pub(crate) async fn place(&self, order: Order) -> Answer {
        let (answer, mut answered) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back((order, answer));
        loop {
            let turn = self.turn.lock().await;
            match answered.try_recv() {
                Ok(answer) => return answer,
                Err(oneshot::error::TryRecvError::Closed) => return Err(abandoned()),
                Err(oneshot::error::TryRecvError::Empty) => self.write_waiting().await,
            }
            drop(turn);
        }
    }

    async fn write_waiting(&self) {
        let (orders, answers): (Vec<_>, Vec<_>) = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let count = waiting.len().min(MOST_AT_ONCE);
            waiting.drain(..count).unzip()
        };
        let placements = self.store.place(&orders).await;
        for (answer, placement) in answers.into_iter().zip(placements) {
            // A caller that has gone away needs no answer: its event comes again.
            let _ = answer.send(placement);
        }
    }
}

fn abandoned() -> store::Error {
    store::Error::Unavailable("the delivery that was writing this order went away".into())
}
