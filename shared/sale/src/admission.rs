//! Who may buy: a spike's rules, asked about a user's attributes.

use std::{sync::Arc, time::Duration};

use access::{BadRule, Facts, Filter};
use cache::Fetched;
use domain::{Clock, Spike, SpikeId, UserId, Verdict};
use store::Store;

use crate::Error;

const FILTER_FOR: Duration = Duration::from_mins(5);
const MOST_FILTERS: usize = 1_000;

/// Asks the rules. A compiled filter is kept for five minutes; verdicts are kept in Redis by the caller.
#[derive(Clone)]
pub struct Admission {
    store: Arc<dyn Store>,
    filters: Fetched<(SpikeId, u64), Arc<Filter>, Arc<BadRule>>,
    clock: Clock,
}

impl Admission {
    /// Reads users from `store`; `now` in rules is `clock`'s.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        let filters = Fetched::new(MOST_FILTERS, FILTER_FOR, Arc::clone(&clock));
        Self {
            store,
            filters,
            clock,
        }
    }

    /// What the spike's rules say about the user. Whatever cannot be decided is a denial: an account that is gone, a
    /// stored rule that no longer compiles, a rule that fails.
    pub async fn verdict(&self, spike: &Spike, user_id: UserId) -> Result<Verdict, Error> {
        if spike.settings.rules.is_empty() {
            return Ok(Verdict::Allowed);
        }
        let Some(user) = self.store.user(user_id).await? else {
            return Ok(Verdict::Denied("This account no longer exists.".into()));
        };
        let compile = access::compile(&spike.settings.rules);
        let key = (spike.id, spike.version);
        let compiled = async { compile.await.map(Arc::new).map_err(Arc::new) };
        match self.filters.get(&key, compiled).await {
            Ok(filter) => {
                let now = (self.clock)();
                let facts = Facts {
                    user_id,
                    attributes: &user.attributes,
                    spike,
                    now,
                };
                Ok(filter.verdict(&facts))
            }
            Err(bad_rule) => {
                tracing::error!(spike.id = %spike.id, error = %bad_rule, "a stored rule does not compile");
                Ok(Verdict::Denied(
                    "This sale's rules cannot be checked at the moment.".into(),
                ))
            }
        }
    }
}
