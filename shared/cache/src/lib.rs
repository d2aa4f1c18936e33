//! Bounded caches whose entries age by an injected clock, so that a simulator decides when they lapse.

use std::{future::Future, hash::Hash, sync::Arc, time::Duration};

use domain::{Clock, Timestamp};
use quick_cache::{Equivalent, sync::Cache};

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
    entries: Arc<Cache<K, Aging<V>>>,
    clock: Clock,
}

impl<K: Hash + Eq, V: Clone> Timed<K, V> {
    /// A cache of at most `capacity` entries.
    #[must_use]
    pub fn new(capacity: usize, clock: Clock) -> Self {
        Self {
            entries: Arc::new(Cache::new(capacity)),
            clock,
        }
    }

    /// The value, if it has not lapsed.
    pub fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
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
    pub fn remove<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) {
        self.entries.remove(key);
    }
}

/// A bounded map that fetches what it lacks, once for all who ask at the same time (single flight). A fetch that is given up
/// is begun again by one of those who wait.
#[derive(Clone)]
pub struct Fetched<K, V, E> {
    entries: Arc<Cache<K, Aging<Result<V, E>>>>,
    ttl: Duration,
    clock: Clock,
}

impl<K: Hash + Eq + Clone, V: Clone, E: Clone> Fetched<K, V, E> {
    /// A cache of at most `capacity` entries that lapse after `ttl`.
    #[must_use]
    pub fn new(capacity: usize, ttl: Duration, clock: Clock) -> Self {
        Self {
            entries: Arc::new(Cache::new(capacity)),
            ttl,
            clock,
        }
    }

    /// The value, fetched with `fetch` if it is absent or has lapsed. A failure is told to all who wait for it, and not kept.
    pub async fn get(&self, key: &K, fetch: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        let now = (self.clock)();
        let counts = |entry: &Aging<Result<V, E>>| entry.value.is_ok() && entry.is_fresh(now);
        if let Some(entry) = self.entries.get(key) {
            if counts(&entry) {
                return entry.value;
            }
            self.entries.remove_if(key, |there| !counts(there));
        }
        match self.entries.get_value_or_guard_async(key).await {
            // Fetched since this was asked for.
            Ok(entry) => entry.value,
            Err(place) => {
                let value = fetch.await;
                let entry = Aging {
                    value: value.clone(),
                    since: now,
                    stale_at: now + self.ttl,
                };
                // Nobody wants it any more if the key was forgotten meanwhile.
                let _ = place.insert(entry);
                if value.is_err() {
                    self.entries.remove_if(key, |there| there.value.is_err());
                }
                value
            }
        }
    }

    /// Forgets the value, so that the next caller fetches it anew: what is being fetched now is not kept.
    pub fn forget(&self, key: &K) {
        self.entries.remove(key);
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
        cache.forget(&1);
        assert_eq!(cache.get(&1, fetch(Ok(9))).await, Ok(9));
    }

    #[tokio::test]
    async fn all_who_wait_are_told_of_one_failure_and_a_fetch_that_is_given_up_is_begun_again() {
        let (_, clock) = clock();
        let cache: Fetched<u32, u32, &str> = Fetched::new(1, Duration::from_secs(1), clock);
        let fetches = AtomicU32::new(0);
        let slow = |answer: Result<u32, &'static str>| {
            let fetches = &fetches;
            async move {
                fetches.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                answer
            }
        };
        let both = tokio::join!(
            cache.get(&1, slow(Err("away"))),
            cache.get(&1, slow(Err("away")))
        );
        assert_eq!(both, (Err("away"), Err("away")));
        assert_eq!(fetches.load(Ordering::SeqCst), 1);
        let given_up = async {
            tokio::select! {
                biased;
                _ = cache.get(&1, std::future::pending()) => {}
                () = tokio::task::yield_now() => {}
            }
        };
        let ((), second) = tokio::join!(given_up, cache.get(&1, slow(Ok(7))));
        assert_eq!(second, Ok(7));
        assert_eq!(cache.get(&1, async { Err("not asked") }).await, Ok(7));
    }

    #[tokio::test]
    async fn what_is_forgotten_while_it_is_fetched_is_not_kept() {
        let (_, clock) = clock();
        let cache: Fetched<u32, u32, &str> = Fetched::new(10, Duration::from_secs(1), clock);
        let old = cache.get(&1, async {
            cache.forget(&1);
            Ok(1)
        });
        assert_eq!(old.await, Ok(1));
        assert_eq!(cache.get(&1, async { Ok(2) }).await, Ok(2));
    }

    #[test]
    fn guessing_keys_fills_no_memory() {
        let (_, clock) = clock();
        let cache = Timed::new(100, clock);
        for key in 0..100_000 {
            cache.insert_for(key, (), Duration::from_secs(1));
        }
        let kept = (0..100_000).filter(|key| cache.get(key).is_some()).count();
        assert!(kept <= 128, "{kept}");
    }
}
