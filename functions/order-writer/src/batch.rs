//! Orders that arrive together are written together, and Redis learns of them together (ADR 36, 37).
//!
//! One of those that wait leads: under load it waits a moment for company, then for its turn to write, and takes along all
//! that wait. The next leader gathers while that write is under way. No task outlives a delivery, which suits a function
//! that is frozen between two: the leader is one of the deliveries, and if it goes away, another takes its place.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{Order, OrderPlaced, SpikeId};
use stock::Stock;
use store::{Placement, Store};
use tokio::{
    sync::{Mutex as Turn, Notify, oneshot},
    time::{Instant, timeout},
};

use crate::ack;

/// The most orders of one write, and so of one transaction on `MySQL`. `DynamoDB` takes 100 items in one: its adapter divides
/// them.
const MOST_AT_ONCE: usize = 100;
/// How long a leader waits for company at most.
const GATHER: Duration = Duration::from_millis(2);
/// After so long a write says nothing about how many will come.
const LOAD_LASTS: Duration = Duration::from_millis(100);

type Answer = Result<Placement, store::Error>;

/// The queue in front of [`store::Orders::place`].
pub(crate) struct Batch {
    store: Arc<dyn Store>,
    stock: Stock,
    queue: Mutex<Queue>,
    /// Told when as many wait as the leader wants.
    gathered: Notify,
    turn: Turn<()>,
}

struct Queue {
    waiting: VecDeque<Waiting>,
    /// Whether one of those that wait leads.
    is_led: bool,
    /// For how many the leader waits.
    wanted: usize,
    /// How many orders the last write had, and when it began or ended.
    last: (usize, Instant),
}

/// An order that waits to be written.
struct Waiting {
    order: Order,
    caller: Caller,
}

/// Who waits for an order.
struct Caller {
    /// What Redis forgets once the order is written.
    event: OrderPlaced,
    answer: oneshot::Sender<Answer>,
    /// To be told to lead; nothing any more once it was. Kept until the answer, since dropping it wakes the caller.
    lead: Option<oneshot::Sender<Lead>>,
}

/// The leader's part. Whoever drops it before the orders are taken leaves it to another that waits.
struct Lead(Option<Arc<Batch>>);

impl Batch {
    pub(crate) fn new(store: Arc<dyn Store>, stock: Stock) -> Self {
        Self {
            store,
            stock,
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                is_led: false,
                wanted: 1,
                last: (1, Instant::now()),
            }),
            gathered: Notify::new(),
            turn: Turn::default(),
        }
    }

    /// Places the order of `event`, together with others that wait. If it is written, its event is acknowledged too, though
    /// perhaps by another caller who has not done so yet.
    ///
    /// A caller that goes away while it writes for others leaves them without an answer: they get
    /// [`store::Error::Unavailable`], and their events come again.
    pub(crate) async fn place(self: &Arc<Self>, order: Order, event: OrderPlaced) -> Answer {
        let (answer, mut answered) = oneshot::channel();
        let (lead, told) = oneshot::channel();
        let caller = Caller {
            event,
            answer,
            lead: Some(lead),
        };
        self.enter(Waiting { order, caller });
        tokio::select! {
            biased;
            answer = &mut answered => return answer.unwrap_or_else(|_| Err(abandoned())),
            Ok(lead) = told => self.write_waiting(lead).await,
        }
        answered.await.unwrap_or_else(|_| Err(abandoned()))
    }

    fn enter(self: &Arc<Self>, waiting: Waiting) {
        let mut queue = self.queue();
        queue.waiting.push_back(waiting);
        queue.elect(self);
        if queue.is_enough() {
            self.gathered.notify_one();
        }
    }

    /// Writes what waits once the write before has ended.
    async fn write_waiting(&self, lead: Lead) {
        // Either way what waits then is written.
        let _ = timeout(GATHER, self.gather()).await;
        let turn = self.turn.lock().await;
        let (orders, callers) = self.take();
        // The next leader gathers meanwhile.
        drop(lead);
        let placements = self.store.place(&orders).await;
        self.queue().last.1 = Instant::now();
        drop(turn);
        let mut written: BTreeMap<SpikeId, Vec<OrderPlaced>> = BTreeMap::new();
        for (Caller { event, answer, .. }, placement) in callers.into_iter().zip(placements) {
            if matches!(placement, Ok(Placement::Written)) {
                failpoint::pass("order-writer.committed");
                written.entry(event.spike_id).or_default().push(event);
            }
            // A caller that has gone away needs no answer: its event comes again.
            let _ = answer.send(placement);
        }
        ack::all(&self.stock, &written).await;
    }

    async fn gather(&self) {
        self.queue().look_ahead();
        while !self.queue().is_enough() {
            self.gathered.notified().await;
        }
    }

    /// The orders that the leader writes, and who waits for them.
    fn take(&self) -> (Vec<Order>, Vec<Caller>) {
        let mut queue = self.queue();
        queue.tidy();
        let count = queue.waiting.len().min(MOST_AT_ONCE);
        queue.last = (count, Instant::now());
        let taken = queue.waiting.drain(..count);
        taken.map(|it| (it.order, it.caller)).unzip()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Tells the first who waits to lead, unless somebody does.
    fn elect(&mut self, batch: &Arc<Batch>) {
        for waiting in &mut self.waiting {
            if self.is_led {
                return;
            }
            let Some(lead) = waiting.caller.lead.take() else {
                continue;
            };
            match lead.send(Lead(Some(Arc::clone(batch)))) {
                Ok(()) => self.is_led = true,
                // Gone away. Nobody has this part.
                Err(mut lead) => lead.0 = None,
            }
        }
    }

    /// Leaves out those whose callers have gone away: their events come again.
    fn tidy(&mut self) {
        self.waiting
            .retain(|waiting| !waiting.caller.answer.is_closed());
    }

    /// For how many the leader waits: under load for as many as were written last.
    fn look_ahead(&mut self) {
        self.tidy();
        let (count, at) = self.last;
        let is_load = at.elapsed() < LOAD_LASTS;
        self.wanted = if is_load { count } else { 1 };
    }

    fn is_enough(&self) -> bool {
        self.waiting.len() >= self.wanted
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if let Some(batch) = self.0.take() {
            let mut queue = batch.queue();
            queue.is_led = false;
            queue.elect(&batch);
        }
    }
}

fn abandoned() -> store::Error {
    store::Error::Unavailable("the delivery that was writing this order went away".into())
}
