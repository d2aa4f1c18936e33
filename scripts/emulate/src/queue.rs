//! SQS standard queues: at least once, in no order, hidden while they are worked on, moved away when they fail too often.

mod api;
mod mapping;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::{sync::Notify, time::Instant};

pub use api::SqsApi;
pub(crate) use mapping::event;
pub use mapping::{Batch, Mapping};

use crate::{ACCOUNT, REGION, lambda::lock};

/// A message.
#[derive(Debug, Clone)]
pub struct Message {
    /// The same for every delivery.
    pub id: String,
    /// Another one for every delivery.
    pub receipt: String,
    /// What was sent.
    pub body: String,
    /// `MessageAttributes`, as they were sent.
    pub attributes: Map<String, Value>,
    /// How often it was received, this time included.
    pub receives: u32,
    /// When it was sent, in ms of the epoch.
    pub sent_at_ms: i64,
    /// The queue that gave up on it.
    pub dead_letter_of: Option<String>,
    pub(crate) visible_at: Instant,
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// May be received now.
    pub visible: usize,
    /// Are being worked on, or wait until they are seen again.
    pub hidden: usize,
}

#[derive(Debug)]
struct Redrive {
    receives_max: AtomicU32,
    dead_letters: Arc<Queue>,
}

/// A queue.
#[derive(Debug)]
pub struct Queue {
    /// Its name.
    pub name: String,
    visibility: Mutex<Duration>,
    redrive: Option<Redrive>,
    messages: Mutex<VecDeque<Message>>,
    arrived: Notify,
    copies: AtomicU32,
}

impl Queue {
    /// An empty queue. A message that was received as often as `redrive` says goes to that queue instead of being received
    /// once more.
    #[must_use]
    pub fn new(name: &str, visibility: Duration, redrive: Option<(u32, Arc<Self>)>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            visibility: Mutex::new(visibility),
            redrive: redrive.map(|(receives_max, dead_letters)| Redrive {
                receives_max: receives_max.into(),
                dead_letters,
            }),
            messages: Mutex::default(),
            arrived: Notify::new(),
            copies: AtomicU32::new(1),
        })
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:sqs:{REGION}:{}:{}", ACCOUNT, self.name)
    }

    /// From now on each message is delivered so many times, under the same id.
    pub fn deliver_each(&self, times: u32) {
        self.copies.store(times, Ordering::Relaxed);
    }

    /// From now on a message that is received is hidden for so long.
    pub fn hide_for(&self, visibility: Duration) {
        *lock(&self.visibility) = visibility;
    }

    /// From now on a message that was received so often is a dead letter.
    pub fn give_up_after(&self, receives: u32) {
        if let Some(redrive) = &self.redrive {
            redrive.receives_max.store(receives, Ordering::Relaxed);
        }
    }

    /// Takes a message; its id.
    pub fn send(&self, body: String, attributes: Map<String, Value>) -> String {
        let id = crate::request_id();
        let message = Message {
            id: id.clone(),
            receipt: String::new(),
            body,
            attributes,
            receives: 0,
            sent_at_ms: runtime::clock::system()().as_millis(),
            dead_letter_of: None,
            visible_at: Instant::now(),
        };
        for _ in 0..self.copies.load(Ordering::Relaxed) {
            self.put(message.clone());
        }
        id
    }

    fn put(&self, message: Message) {
        lock(&self.messages).push_back(message);
        self.arrived.notify_one();
    }

    /// Up to `most` messages that nobody else works on, which are hidden for the queue's visibility time-out.
    pub fn receive(&self, most: usize) -> Vec<Message> {
        let now = Instant::now();
        let visibility = *lock(&self.visibility);
        let mut received = Vec::new();
        let mut given_up = Vec::new();
        let mut messages = lock(&self.messages);
        let mut index = 0;
        while index < messages.len() && received.len() < most {
            let message = &mut messages[index];
            index += 1;
            if message.visible_at > now {
                continue;
            }
            if let Some(redrive) = &self.redrive
                && message.receives >= redrive.receives_max.load(Ordering::Relaxed)
            {
                index -= 1;
                let message = messages.remove(index);
                given_up.extend(message.map(|it| (it, &redrive.dead_letters)));
                continue;
            }
            message.receives += 1;
            message.visible_at = now + visibility;
            message.receipt = crate::request_id();
            received.push(message.clone());
        }
        drop(messages);
        for (message, dead_letters) in given_up {
            dead_letters.put(Message {
                dead_letter_of: Some(self.arn()),
                receives: 0,
                visible_at: now,
                ..message
            });
        }
        received
    }

    /// Deletes what was received with this receipt; an old receipt deletes nothing.
    pub fn delete(&self, receipt: &str) {
        lock(&self.messages).retain(|message| message.receipt != receipt);
    }

    /// How many messages there are.
    #[must_use]
    pub fn depth(&self) -> Depth {
        let now = Instant::now();
        let messages = lock(&self.messages);
        let visible = messages.iter().filter(|it| it.visible_at <= now).count();
        Depth {
            visible,
            hidden: messages.len() - visible,
        }
    }

    /// Returns when a message has come, or may be seen again.
    async fn changed(&self) {
        let poll = tokio::time::sleep(Duration::from_millis(50));
        tokio::select! {
            () = self.arrived.notified() => {}
            () = poll => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIDDEN: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_message_is_hidden_while_it_is_worked_on_and_comes_again() {
        let queue = Queue::new("orders", HIDDEN, None);
        let id = queue.send("one".to_owned(), Map::new());
        let first = queue.receive(10).remove(0);
        assert_eq!((first.id.as_str(), first.receives), (id.as_str(), 1));
        assert!(queue.receive(10).is_empty());
        tokio::time::advance(HIDDEN).await;
        let second = queue.receive(10).remove(0);
        assert_eq!((second.id, second.receives), (id, 2));
        // The first receipt is out of date.
        queue.delete(&first.receipt);
        assert_eq!(queue.depth().hidden, 1);
        queue.delete(&second.receipt);
        assert_eq!(
            queue.depth(),
            Depth {
                visible: 0,
                hidden: 0
            }
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_received_too_often_is_a_dead_letter() {
        let dead_letters = Queue::new("dead-letters", HIDDEN, None);
        let queue = Queue::new("orders", HIDDEN, Some((2, Arc::clone(&dead_letters))));
        queue.send("poison".to_owned(), Map::new());
        for _ in 0..2 {
            assert_eq!(queue.receive(10).len(), 1);
            tokio::time::advance(HIDDEN).await;
        }
        assert!(queue.receive(10).is_empty());
        assert_eq!(
            queue.depth(),
            Depth {
                visible: 0,
                hidden: 0
            }
        );
        let letter = dead_letters.receive(10).remove(0);
        assert_eq!(letter.dead_letter_of, Some(queue.arn()));
        assert_eq!((letter.body.as_str(), letter.receives), ("poison", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn copies_have_one_id_and_are_deleted_one_by_one() {
        let queue = Queue::new("orders", HIDDEN, None);
        queue.deliver_each(3);
        queue.send("one".to_owned(), Map::new());
        let received = queue.receive(10);
        assert_eq!(received.len(), 3);
        assert!(received.iter().all(|it| it.id == received[0].id));
        queue.delete(&received[0].receipt);
        assert_eq!(queue.depth().hidden, 2);
    }
}
