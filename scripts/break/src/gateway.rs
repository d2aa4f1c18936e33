//! What stands in front: one base URL for all functions.
//!
//! It does what an activator does. A request waits until its function is ready, and one that was not sent is tried again;
//! one that was sent and got no answer is never repeated, and the buyer's connection is closed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::{Instant, sleep};

use crate::{
    service::Service,
    tap::{Forwarder, Unanswered},
};

/// How long a request waits for its function.
const WAIT: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(5);

/// The functions behind one address.
pub struct Gateway {
    services: Vec<Service>,
    /// Where everything else is.
    rest: u16,
    forwarder: Forwarder,
    unanswered: AtomicU64,
}

impl Gateway {
    /// Routes to `services` by their names, and what is none of theirs to the port `rest`.
    #[must_use]
    pub fn new(services: Vec<Service>, rest: u16) -> Arc<Self> {
        Arc::new(Self {
            services,
            rest,
            forwarder: Forwarder::default(),
            unanswered: AtomicU64::new(0),
        })
    }

    /// How many requests were sent and got no answer.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Answers a request by its function.
    pub async fn answer(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Full<Bytes>>, Unanswered> {
        let function = function(request.uri().path());
        let service = self.services.iter().find(|it| Some(it.name) == function);
        let until = Instant::now() + WAIT;
        loop {
            let ready = service.is_none_or(|service| service.life().ready);
            if ready {
                let port = service.map_or(self.rest, |service| service.port);
                match self.forwarder.forward(port, &request).await {
                    Err(Unanswered { refused: true }) => {}
                    Err(unanswered) => {
                        self.unanswered.fetch_add(1, Ordering::Relaxed);
                        return Err(unanswered);
                    }
                    answer => return answer,
                }
            }
            if Instant::now() > until {
                return Err(Unanswered { refused: true });
            }
            sleep(POLL).await;
        }
    }
}

/// The function whose route this is, among those that run as processes.
fn function(path: &str) -> Option<&'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_function() {
        let to = |path, name| assert_eq!(function(path), name, "{path}");
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
}
