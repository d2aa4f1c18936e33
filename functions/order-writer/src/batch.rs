//! Orders that arrive together are written together.
//!
//! While one write is under way, further orders queue up; the next write takes them all. Under load the deliveries that one
//! write answers are followed by others at about the same time, so the next write waits for as many, a moment at most. An
//! order that comes alone waits for nobody, unless several were written a moment ago (ADR 36). No task outlives a delivery,
//! which suits a function that is frozen between two.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::Order;
use store::{Placement, Store};
use tokio::{
    sync::{
        Mutex as Turn, Notify,
        oneshot::{self, error::TryRecvError},
    },
    time::{Instant, timeout},
};

/// The most orders of one write, and so of one transaction on `MySQL`. `DynamoDB` takes 100 items in one: its adapter divides
/// them.
const MOST_AT_ONCE: usize = 100;
/// How long a write waits for as many orders as the last one had.
const GATHER: Duration = Duration::from_millis(2);
/// After so long a write says nothing about how many will come.
const LOAD_LASTS: Duration = Duration::from_millis(100);

type Answer = Result<Placement, store::Error>;

/// The queue in front of [`store::Orders::place`].
pub(crate) struct Batch {
    store: Arc<dyn Store>,
    queue: Mutex<Queue>,
    /// Told when as many wait as are wanted.
    gathered: Notify,
    /// Of who writes; how many orders the last write had, and when it ended.
    turn: Turn<(usize, Instant)>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Order, oneshot::Sender<Answer>)>,
    /// How many somebody waits for who is about to write. Nobody may wait any more.
    wanted: Option<usize>,
}

impl Queue {
    /// Leaves out those whose callers have gone away: their events come again.
    fn tidy(&mut self) {
        self.waiting.retain(|(_, answer)| !answer.is_closed());
    }

    fn is_enough(&self) -> bool {
        self.wanted
            .is_some_and(|wanted| self.waiting.len() >= wanted)
    }
}

impl Batch {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            queue: Mutex::default(),
            gathered: Notify::new(),
            turn: Turn::new((1, Instant::now())),
        }
    }

    /// Places the order, together with others that wait.
    ///
    /// A caller that goes away while it writes for others leaves them without an answer: they get
    /// [`store::Error::Unavailable`], and their events come again.
    pub(crate) async fn place(&self, order: Order) -> Answer {
        let (answer, mut answered) = oneshot::channel();
        let is_enough = {
            let mut queue = self.queue();
            queue.waiting.push_back((order, answer));
            queue.is_enough()
        };
        if is_enough {
            self.gathered.notify_one();
        }
        loop {
            let mut last = tokio::select! {
                biased;
                answer = &mut answered => return answer.unwrap_or_else(|_| Err(abandoned())),
                last = self.turn.lock() => last,
            };
            match answered.try_recv() {
                Ok(answer) => return answer,
                Err(TryRecvError::Closed) => return Err(abandoned()),
                Err(TryRecvError::Empty) => {
                    let (count, ended_at) = *last;
                    let is_load = ended_at.elapsed() < LOAD_LASTS;
                    let written = self.write_waiting(if is_load { count } else { 1 }).await;
                    *last = (written, Instant::now());
                }
            }
        }
    }

    /// Writes what waits, after a moment for as many as the last write had; how many these were.
    async fn write_waiting(&self, last: usize) -> usize {
        self.gather(last).await;
        let (orders, answers): (Vec<_>, Vec<_>) = {
            let mut queue = self.queue();
            queue.tidy();
            let count = queue.waiting.len().min(MOST_AT_ONCE);
            queue.waiting.drain(..count).unzip()
        };
        let placements = self.store.place(&orders).await;
        for (answer, placement) in answers.into_iter().zip(placements) {
            // A caller that has gone away needs no answer: its event comes again.
            let _ = answer.send(placement);
        }
        orders.len()
    }

    async fn gather(&self, wanted: usize) {
        {
            let mut queue = self.queue();
            queue.tidy();
            if queue.waiting.len() >= wanted {
                return;
            }
            queue.wanted = Some(wanted);
        }
        // Either way what waits now is written.
        let _ = timeout(GATHER, async {
            while !self.queue().is_enough() {
                self.gathered.notified().await;
            }
        })
        .await;
        self.queue().wanted = None;
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn abandoned() -> store::Error {
    store::Error::Unavailable("the delivery that was writing this order went away".into())
}
