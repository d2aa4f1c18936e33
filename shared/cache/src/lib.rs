//! Bounded caches whose entries age by an injected clock, so that a simulator decides when they lapse.

use std::{future::Future, hash::Hash, sync::Arc, time::Duration};

use domain::{Clock, Timestamp};
use moka::{future, sync};

/// How far a clock that several threads read may seem to go back.
const JITTER: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Aging<V> {
    value: V,
    since: Timestamp,
    stale_at: Timestamp,
}

impl<V> Aging<V> {
    /// An entry from the future was made before the clock was set back: nobody knows its age, so it has lapsed.
    fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.stale_at && self.since <= now + JITTER
    }
}

/// A bounded map whose entries lapse.
#[derive(Clone)]
pub struct Timed<K, V> {
    entries: sync::Cache<K, Aging<V>>,
    clock: Clock,
}

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Timed<K, V> {
    /// A cache of at most `capacity` entries.
    #[must_use]
    pub fn new(capacity: u64, clock: Clock) -> Self {
        Self {
            entries: sync::Cache::new(capacity),
            clock,
        }
    }

    /// The value, if it has not lapsed.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let entry = self.entries.get(key)?;
        entry.is_fresh((self.clock)()).then_some(entry.value)
    }

    /// Keeps the value until `stale_at`.
    pub fn insert_until(&self, key: K, value: V, stale_at: Timestamp) {
        let since = (self.clock)();
        self.entries.insert(
            key,
            Aging {
                value,
                since,
                stale_at,
            },
        );
    }

    /// Keeps the value for `ttl`.
    pub fn insert_for(&self, key: K, value: V, ttl: Duration) {
        self.insert_until(key, value, (self.clock)() + ttl);
    }

    /// Forgets the value.
    pub fn remove<Q: Hash + Eq + ?Sized>(&self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        self.entries.invalidate(key);
    }
}

/// A bounded map that fetches what it lacks, once for all who ask at the same time (single flight).
#[derive(Clone)]
pub struct Fetched<K, V> {
    entries: future::Cache<K, Aging<V>>,
    ttl: Duration,
    clock: Clock,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Fetched<K, V> {
    /// A cache of at most `capacity` entries that lapse after `ttl`.
    #[must_use]
    pub fn new(capacity: u64, ttl: Duration, clock: Clock) -> Self {
        Self {
            entries: future::Cache::new(capacity),
            ttl,
            clock,
        }
    }

    /// The value, fetched with `fetch` if it is absent or has lapsed. A failure is not kept.
    pub async fn get<E: Clone + Send + Sync + 'static>(
        &self,
        key: &K,
        fetch: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let now = (self.clock)();
        if let Some(entry) = self.entries.get(key).await {
            if entry.is_fresh(now) {
                return Ok(entry.value);
            }
            self.entries.invalidate(key).await;
        }
        let stale_at = now + self.ttl;
        let entry = async {
            Ok(Aging {
                value: fetch.await?,
                since: now,
                stale_at,
            })
        };
        let entry = self.entries.try_get_with_by_ref(key, entry).await;
        entry
            .map(|entry| entry.value)
            .map_err(|error: Arc<E>| (*error).clone())
    }

    /// Forgets the value, so that the next caller fetches it anew.
    pub async fn forget(&self, key: &K) {
        self.entries.invalidate(key).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

    use super::*;

    fn clock() -> (Arc<AtomicI64>, Clock) {
        let ms = Arc::new(AtomicI64::new(1_000));
        let read = Arc::clone(&ms);
        (
            ms,
            Arc::new(move || Timestamp::from_millis(read.load(Ordering::SeqCst))),
        )
    }

    #[test]
    fn an_entry_lapses_by_the_injected_clock() {
        let (ms, clock) = clock();
        let cache = Timed::new(10, clock);
        cache.insert_for("a", 1, Duration::from_millis(50));
        assert_eq!(cache.get("a"), Some(1));
        ms.store(1_050, Ordering::SeqCst);
        assert_eq!(cache.get("a"), None);
    }

    #[test]
    fn fault_16_a_clock_that_is_set_back_keeps_nothing_alive() {
        let (ms, clock) = clock();
        ms.store(300_000, Ordering::SeqCst);
        let cache = Timed::new(10, clock);
        cache.insert_for("a", 1, Duration::from_millis(50));
        ms.store(299_999, Ordering::SeqCst);
        assert_eq!(cache.get("a"), Some(1));
        ms.store(1_000, Ordering::SeqCst);
        assert_eq!(cache.get("a"), None);
    }

    #[tokio::test]
    async fn a_value_is_fetched_once_until_it_lapses_and_a_failure_is_not_kept() {
        let (ms, clock) = clock();
        let cache = Fetched::new(10, Duration::from_millis(50), clock);
        let fetches = AtomicU32::new(0);
        let fetch = |answer: Result<u32, &'static str>| {
            fetches.fetch_add(1, Ordering::SeqCst);
            async move { answer }
        };
        assert_eq!(cache.get(&1, fetch(Err("away"))).await, Err("away"));
        assert_eq!(cache.get(&1, fetch(Ok(7))).await, Ok(7));
        assert_eq!(cache.get(&1, async { Err("not asked") }).await, Ok(7));
        ms.store(1_051, Ordering::SeqCst);
        assert_eq!(cache.get(&1, fetch(Ok(8))).await, Ok(8));
        cache.forget(&1).await;
        assert_eq!(cache.get(&1, fetch(Ok(9))).await, Ok(9));
    }
}
