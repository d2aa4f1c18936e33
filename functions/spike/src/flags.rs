//! Flags: what Redis said a moment ago about a whole sale, so that the next refusal costs no call.
//!
//! A flag lives 200 to 1,000 ms from **before** the question whose answer raised it, so a unit that is given back can be
//! bought within a second (units do come back). The time is random for each flag: instances do not ask in step.
//!
//! Where the buyers are few enough ([`stock::BUYERS_AT_MOST`]), a flag knows them and lets them pass: a buyer who asks again gets their reservation
//! from Redis, not a refusal. The token is not verified here; its subject only decides who goes on to the checks.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use cache::Timed;
use domain::{Clock, SpikeId, Timestamp, UserId};
use runtime::Problem;
use stock::Stock;

use crate::{Random, step};

/// A flag with all the buyers that it can carry takes some 64 kB.
const MOST_FLAGS: usize = 200;
const SHORTEST_MS: u64 = 200;
const LONGEST_MS: u64 = 1_000;
/// More than any answer of ours.
const MOST_ANSWER_BYTES: usize = 4_096;

/// The flags of one instance.
pub(crate) struct Flags {
    raised: Timed<SpikeId, Arc<Flag>>,
    raising: Mutex<HashSet<SpikeId>>,
    clock: Clock,
    random: Random,
}

/// One answer for everybody who is not known as a buyer.
struct Flag {
    /// Empty when the sale has more buyers than a flag carries.
    buyers: HashSet<UserId>,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// The problem's.
    code: &'static str,
}

impl Flags {
    pub(crate) fn new(clock: Clock, random: Random) -> Self {
        let raised = Timed::new(MOST_FLAGS, Arc::clone(&clock));
        Self {
            raised,
            raising: Mutex::default(),
            clock,
            random,
        }
    }

    /// The time to hand to [`Flags::raise`], taken before Redis is asked.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The answer of a raised flag, unless the request may come from a buyer.
    pub(crate) fn refusal(&self, request: &Request) -> Option<Response> {
        let spike_id = spike_id(request.uri().path())?;
        let flag = self.raised.get(&spike_id)?;
        (!flag.lets_pass(request.headers())).then(|| {
            observe::PURCHASES.add(1, [&step::FLAGS, &flag.code]);
            flag.answer()
        })
    }

    /// Raises a flag that answers with `problem`, because Redis said so when it was asked at `asked_at`.
    ///
    /// Only one request at a time asks for the buyers of a spike; the others answer without waiting for it. Without the
    /// buyers no flag is raised: the next answer of Redis raises it.
    pub(crate) async fn raise(
        &self,
        stock: &Stock,
        spike_id: SpikeId,
        problem: Problem,
        asked_at: Timestamp,
    ) {
        let Some(_turn) = self.turn(spike_id) else {
            return;
        };
        let Ok(buyers) = stock.buyer_ids(spike_id).await else {
            return;
        };
        let buyers = buyers.unwrap_or_default().into_iter().collect();
        let code = problem.code().code();
        let (parts, body) = problem.into_response().into_parts();
        let Ok(body) = axum::body::to_bytes(body, MOST_ANSWER_BYTES).await else {
            return;
        };
        let flag = Flag {
            buyers,
            status: parts.status,
            headers: parts.headers,
            body,
            code,
        };
        self.raised
            .insert_until(spike_id, Arc::new(flag), asked_at + self.lifetime());
    }

    fn lifetime(&self) -> Duration {
        let [high, low, ..] = (self.random)();
        let jitter = u64::from(u16::from_be_bytes([high, low])) % (LONGEST_MS - SHORTEST_MS);
        Duration::from_millis(SHORTEST_MS + jitter)
    }

    fn turn(&self, spike_id: SpikeId) -> Option<Turn<'_>> {
        let mut raising = self.raising.lock().unwrap_or_else(PoisonError::into_inner);
        raising.insert(spike_id).then(|| Turn {
            raising: &self.raising,
            spike_id,
        })
    }
}

/// The right to raise a spike's flag; given back also when its request is dropped half-way.
struct Turn<'a> {
    raising: &'a Mutex<HashSet<SpikeId>>,
    spike_id: SpikeId,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.raising
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.spike_id);
    }
}

impl Flag {
    fn lets_pass(&self, headers: &HeaderMap) -> bool {
        if self.buyers.is_empty() {
            return false;
        }
        let subject = auth::bearer(headers).and_then(auth::unverified_subject);
        subject.is_some_and(|user_id| self.buyers.contains(&user_id))
    }

    fn answer(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

/// The id in `/spikes/{spike_id}/orders/{token}`, read without the router's help: the refusal comes before all else.
fn spike_id(path: &str) -> Option<SpikeId> {
    path.strip_prefix("/spikes/")?
        .split('/')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_read_from_the_raw_path() {
        let id = SpikeId::mint(Timestamp::from_millis(1), [1; 10]);
        assert_eq!(spike_id(&format!("/spikes/{id}/orders/abc")), Some(id));
        for path in [
            "/",
            "/spikes/",
            "/spikes/x/orders/abc",
            &format!("/other/{id}/orders/abc"),
        ] {
            assert_eq!(spike_id(path), None, "{path}");
        }
    }

    #[test]
    fn a_flag_lives_between_200_and_1000_ms() {
        let clock: Clock = Arc::new(|| Timestamp::from_millis(1));
        for (random, ms) in [([0; 10], 200), ([0xff; 10], 935), ([3; 10], 971)] {
            let flags = Flags::new(Arc::clone(&clock), Arc::new(move || random));
            assert_eq!(flags.lifetime(), Duration::from_millis(ms));
        }
    }
}
