//! What stands in front: one base URL for all functions, or the network behind nginx.
//!
//! It does what an activator does. A request waits until its function is ready, and starts it if it was taken away; one that
//! was not sent is tried again; one that was sent and got no answer is never repeated, and the buyer's connection is closed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use tokio::time::{Instant, sleep};

use crate::{
    service::{Service, lock},
    tap::{self, Forwarder, Unanswered},
};

/// How long a request waits for its function.
const WAIT: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(5);
/// Behind a function's name in the host that the project's nginx asks for.
const DOMAIN: &str = ".spike.svc.cluster.local";

/// By what a request's function is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// By its path, as buyers know it. What is none of the processes' is at the port [`Gateway::new`] was given.
    Public,
    /// By its host, as in a cluster.
    Network,
    /// By the path of an event or a timer.
    Inside,
}

/// The functions behind one address.
pub struct Gateway {
    services: Vec<Service>,
    /// Where everything else is.
    rest: Option<u16>,
    forwarder: Forwarder,
    turns: AtomicUsize,
    unanswered: AtomicU64,
    given_up: AtomicU64,
    /// How many answers each process has given.
    served: Mutex<BTreeMap<&'static str, u64>>,
}

impl Gateway {
    /// Routes to `services` by their names, and what is none of theirs to the port `rest`.
    #[must_use]
    pub fn new(services: Vec<Service>, rest: Option<u16>) -> Arc<Self> {
        Arc::new(Self {
            services,
            rest,
            forwarder: Forwarder::default(),
            turns: AtomicUsize::new(0),
            unanswered: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            served: Mutex::default(),
        })
    }

    /// How many requests waited in vain for an instance.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// How many answers a process has given.
    #[must_use]
    pub fn served(&self, name: &str) -> u64 {
        lock(&self.served).get(name).copied().unwrap_or(0)
    }

    /// How many requests were sent and got no answer.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Answers a request by its function.
    pub async fn answer(
        &self,
        entry: Entry,
        request: Request<Bytes>,
    ) -> Result<Response<Full<Bytes>>, Unanswered> {
        let function = match entry {
            Entry::Public => public(request.uri().path()),
            Entry::Network => network(&request),
            Entry::Inside => inside(request.uri().path()),
        };
        let instances: Vec<&Service> = self
            .services
            .iter()
            .filter(|it| Some(it.name.strip_prefix("second-").unwrap_or(it.name)) == function)
            .collect();
        let rest = self
            .rest
            .filter(|_| entry == Entry::Public && instances.is_empty());
        if instances.is_empty() && rest.is_none() {
            return Err(Unanswered { refused: true });
        }
        let until = Instant::now() + WAIT;
        loop {
            let instance = self.instance(&instances);
            if let Some(port) = instance.map(|it| it.port).or(rest) {
                match self.forwarder.forward(port, &request).await {
                    Err(Unanswered { refused: true }) => {}
                    Err(unanswered) => {
                        self.unanswered.fetch_add(1, Ordering::Relaxed);
                        return Err(unanswered);
                    }
                    Ok(answer) => {
                        if let Some(instance) = instance {
                            *lock(&self.served).entry(instance.name).or_default() += 1;
                        }
                        return Ok(answer);
                    }
                }
            }
            if Instant::now() > until {
                self.given_up.fetch_add(1, Ordering::Relaxed);
                return Err(Unanswered { refused: true });
            }
            sleep(POLL).await;
        }
    }

    /// One of those that are ready, each in its turn; if none is, the first is started.
    fn instance<'a>(&self, instances: &[&'a Service]) -> Option<&'a Service> {
        let ready: Vec<&&Service> = instances.iter().filter(|it| it.life().ready).collect();
        if ready.is_empty() {
            instances.first()?.wake();
            return None;
        }
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        Some(ready[turn % ready.len()])
    }
}

/// The function whose public route this is, among those that always run as processes.
fn public(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    Some(match parts[..] {
        ["spikes", _, "orders", _] => "spike",
        ["spikes", _, "token"] => "spike-token",
        ["spikes", _, "access"] => "access-check",
        ["spikes", _, "order"] | ["orders"] | ["orders", _] => "order-query",
        ["orders", _, "pay"] => "order-pay",
        ["orders", _, "cancel"] => "order-cancel",
        ["admin", "spikes", ..] => "admin-spikes",
        ["admin", "dead-letters", ..] => "dead-letter",
        _ => return None,
    })
}

/// The function whose host this is.
fn network(request: &Request<Bytes>) -> Option<&str> {
    let host = request.headers().get(header::HOST)?.to_str().ok()?;
    host.strip_suffix(DOMAIN)
}

/// The function that is called with this from inside.
fn inside(path: &str) -> Option<&'static str> {
    Some(match path {
        "/events/order-placed" => "order-writer",
        "/events/dead-letter" => "dead-letter",
        "/timers/sweep" => "sweeper",
        _ => return None,
    })
}

/// An address that is known before what is behind it: it is told to those who are started first.
#[derive(Clone)]
pub struct Door {
    entry: Entry,
    gateway: Arc<OnceLock<Arc<Gateway>>>,
}

impl Door {
    /// A door that nobody is behind yet; requests are closed without an answer.
    #[must_use]
    pub fn new(entry: Entry) -> Self {
        Self {
            entry,
            gateway: Arc::default(),
        }
    }

    /// Listens on a free port.
    pub fn listen(&self) -> anyhow::Result<u16> {
        let door = self.clone();
        let handler = move |request| {
            let door = door.clone();
            async move { door.answer(request).await }
        };
        tap::serve(handler).with_context(|| format!("{:?}", self.entry))
    }

    /// Answers a request, once there is somebody behind it.
    pub async fn answer(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Full<Bytes>>, Unanswered> {
        match self.gateway.get() {
            Some(gateway) => gateway.answer(self.entry, request).await,
            None => Err(Unanswered { refused: true }),
        }
    }

    /// Leads to the functions from now on.
    pub fn open(&self, gateway: &Arc<Gateway>) {
        // It is opened once.
        let _ = self.gateway.set(Arc::clone(gateway));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_function() {
        let to = |path, name| assert_eq!(public(path), name, "{path}");
        to("/spikes/1/orders/2", Some("spike"));
        to("/spikes/1/order", Some("order-query"));
        to("/orders/1/cancel", Some("order-cancel"));
        to("/admin/spikes/1/stats", Some("admin-spikes"));
        to("/spikes", None);
        to("/admin/users/import", None);
        // What the broker and the timer call is not reached from outside.
        to("/events/order-placed", None);
        to("/timers/sweep", None);
    }

    #[test]
    fn a_host_leads_to_its_function() {
        let to = |host, name| {
            let request = Request::builder().header(header::HOST, host);
            let request = request.body(Bytes::new()).unwrap();
            assert_eq!(network(&request), name, "{host}");
        };
        to("spike-token.spike.svc.cluster.local", Some("spike-token"));
        to("spike-token.other.svc.cluster.local", None);
        to("127.0.0.1:8080", None);
    }
}
