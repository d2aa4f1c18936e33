//! Steps: the moments at which the scheduler decides.
//!
//! Everything that a process does to the world (a Redis command, a call of the store, an event handed to the broker) is one
//! step. A process that comes to a step waits until the scheduler lets it go on; what the step does then happens at once.
//! Between two steps nothing else can be seen from outside, so every interleaving that matters is an order of steps.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use domain::{Clock, Timestamp};

/// A process of the simulated system.
pub type Instance = usize;

/// How a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// As it should.
    Proceed,
    /// It does not happen, and its caller learns only that there is no answer.
    FailBefore,
    /// It happens, and its caller learns only that there is no answer.
    FailAfter,
}

/// What a step is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The stock.
    Redis,
    /// The durable store.
    Store,
    /// The queue of events.
    Broker,
    /// The payment provider.
    Payments,
}

struct Waiting {
    instance: Instance,
    at: At,
    what: String,
    waker: Option<Waker>,
    choice: Option<Choice>,
}

#[derive(Default)]
struct Inner {
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
    moves: u64,
    trace: Option<Vec<String>>,
    violation: Option<String>,
    seen: BTreeMap<&'static str, u64>,
    dead: BTreeSet<Instance>,
    turned_away: BTreeSet<String>,
}

/// All steps of one world.
#[derive(Clone)]
pub struct Steps {
    inner: Arc<Mutex<Inner>>,
    now_ms: Arc<AtomicI64>,
}

impl Steps {
    /// A world at `now_ms`, in which nothing has happened; with `traced` it keeps what does, in words.
    #[must_use]
    pub fn new(now_ms: i64, traced: bool) -> Self {
        let inner = Inner {
            trace: traced.then(Vec::new),
            ..Inner::default()
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            now_ms: Arc::new(AtomicI64::new(now_ms)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The simulated time, which is Redis' time.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// Lets time pass.
    pub fn pass(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// The clock of a process that is `skew_ms` ahead.
    #[must_use]
    pub fn clock(&self, skew_ms: i64) -> Clock {
        let now_ms = Arc::clone(&self.now_ms);
        Arc::new(move || Timestamp::from_millis(now_ms.load(Ordering::Relaxed) + skew_ms))
    }

    /// How much has happened: it stands still while everybody waits.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.lock().moves
    }

    /// Notes that something has happened that is no step.
    pub fn moved(&self) {
        self.lock().moves += 1;
    }

    /// The steps that can be taken, in the order in which processes came to them.
    #[must_use]
    pub fn waiting(&self) -> Vec<u64> {
        let inner = self.lock();
        let open = inner.waiting.iter().filter(|(_, it)| it.choice.is_none());
        open.map(|(id, _)| *id).collect()
    }

    /// What this step is done to.
    #[must_use]
    pub fn at(&self, id: u64) -> Option<At> {
        self.lock().waiting.get(&id).map(|waiting| waiting.at)
    }

    /// Counts that something happened which a test may want to have seen.
    pub fn saw(&self, what: &'static str) {
        *self.lock().seen.entry(what).or_default() += 1;
    }

    /// How often each of these things happened.
    #[must_use]
    pub fn seen(&self) -> BTreeMap<&'static str, u64> {
        self.lock().seen.clone()
    }

    /// Redis had no units for this reservation in place of those that were another's.
    pub fn turn_away(&self, reservation: &str) {
        self.lock().turned_away.insert(reservation.to_owned());
    }

    /// Whether Redis had no units for this reservation, at some time.
    #[must_use]
    pub fn is_turned_away(&self, reservation: &str) -> bool {
        self.lock().turned_away.contains(reservation)
    }

    /// Lets a step be taken.
    pub fn take(&self, id: u64, choice: Choice) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        if let Some(waiting) = inner.waiting.get_mut(&id) {
            waiting.choice = Some(choice);
            if let Some(trace) = &mut inner.trace {
                let how = match choice {
                    Choice::Proceed => "",
                    Choice::FailBefore => "  -- does not happen",
                    Choice::FailAfter => "  -- happens, without an answer",
                };
                trace.push(format!("  #{} {}{how}", waiting.instance, waiting.what));
            }
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
        }
    }

    /// A process has died: none of its steps is ever taken, not even those that tasks of its own still wait for.
    pub fn bury(&self, instance: Instance) {
        let mut inner = self.lock();
        inner
            .waiting
            .retain(|_, waiting| waiting.instance != instance);
        inner.dead.insert(instance);
    }

    /// Writes a line into the trace.
    pub fn note(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.lock().trace {
            trace.push(line());
        }
    }

    /// Notes that something happened that never may; the first counts.
    pub fn violate(&self, what: String) {
        self.note(|| format!("VIOLATION {what}"));
        self.lock().violation.get_or_insert(what);
    }

    /// What happened that never may.
    #[must_use]
    pub fn violation(&self) -> Option<String> {
        self.lock().violation.clone()
    }

    /// The trace, if one is kept.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.lock().trace.clone().unwrap_or_default()
    }
}

/// A process' way to its steps.
#[derive(Clone)]
pub struct Port {
    /// The world's steps.
    pub steps: Steps,
    /// Whose steps these are.
    pub instance: Instance,
}

impl Port {
    /// Comes to a step and waits for its turn.
    pub async fn enter(&self, at: At, what: impl FnOnce() -> String) -> Choice {
        let id = {
            let mut inner = self.steps.lock();
            inner.moves += 1;
            inner.next += 1;
            let id = inner.next;
            let what = if inner.trace.is_some() {
                what()
            } else {
                String::new()
            };
            let waiting = Waiting {
                instance: self.instance,
                at,
                what,
                waker: None,
                choice: None,
            };
            if !inner.dead.contains(&self.instance) {
                inner.waiting.insert(id, waiting);
            }
            id
        };
        Turn {
            steps: &self.steps,
            id,
        }
        .await
    }
}

/// Waits for a step's turn; whoever stops waiting never takes the step.
struct Turn<'a> {
    steps: &'a Steps,
    id: u64,
}

impl Future for Turn<'_> {
    type Output = Choice;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Choice> {
        let mut inner = self.steps.lock();
        let Some(waiting) = inner.waiting.get_mut(&self.id) else {
            return Poll::Pending;
        };
        if let Some(choice) = waiting.choice {
            return Poll::Ready(choice);
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut inner = self.steps.lock();
        inner.waiting.remove(&self.id);
        inner.moves += 1;
    }
}
