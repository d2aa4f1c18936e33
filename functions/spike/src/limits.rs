//! Token buckets: per spike, per user, and one for look-ups of ids that nobody knows.
//!
//! They count by the injected clock and live in bounded caches, so guessed ids cost no memory. A bucket belongs to one
//! instance. On Lambda an instance serves one request at a time; there reserved concurrency, the gateway's throttle and
//! the WAF are the limits, and these only back them up.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::{Clock, SpikeId, UserId};
use governor::{
    Quota, RateLimiter,
    clock::Clock as Ticking,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use quick_cache::sync::Cache;
use runtime::Live;
use serde::{Deserialize, Deserializer, de::Error as _};

const MOST_SPIKES: usize = 1_000;
const MOST_USERS: usize = 50_000;
const USER_PER_SEC: u32 = 5;
const LOOKUPS_PER_SEC: u32 = 100;
/// How far a clock that several threads read may seem to go back.
const JITTER_MS: i64 = 1_000;

/// The highest of [`Rates`].
pub const MOST_PER_UNIT: u32 = 1_000;

/// How fast one instance lets buyers through to one spike, as multiples of its stock. In a file of tunables
/// (`docs/samples/tunables.toml`) both are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Buyers at once per unit of stock. 0 turns the spike's bucket off.
    #[serde(rename = "bucket_burst", deserialize_with = "per_unit")]
    pub burst_per_unit: u32,
    /// Further buyers a second per unit of stock. 0 turns the spike's bucket off.
    #[serde(rename = "bucket_refill", deserialize_with = "per_unit")]
    pub refill_per_unit: u32,
}

fn per_unit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let rate = u32::deserialize(deserializer)?;
    if rate > MOST_PER_UNIT {
        return Err(D::Error::custom(format!(
            "{rate} is not a number from 0 to {MOST_PER_UNIT}"
        )));
    }
    Ok(rate)
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            burst_per_unit: 2,
            refill_per_unit: 2,
        }
    }
}

/// The injected clock, as `governor` reads it: it never goes back, since a bucket would refuse everybody until the clock
/// has caught up.
#[derive(Clone)]
struct Ticks(Arc<Steady>);

struct Steady {
    clock: Clock,
    /// How far the clock was set back, in all.
    lost_ms: AtomicI64,
    latest_ms: AtomicI64,
}

impl Ticks {
    fn new(clock: Clock) -> Self {
        Self(Arc::new(Steady {
            clock,
            lost_ms: AtomicI64::new(0),
            latest_ms: AtomicI64::new(0),
        }))
    }
}

impl Ticking for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let Steady {
            clock,
            lost_ms,
            latest_ms,
        } = &*self.0;
        let lost = lost_ms.load(Ordering::Relaxed);
        let now = (clock)().as_millis() + lost;
        let latest = latest_ms.fetch_max(now, Ordering::Relaxed);
        if now + JITTER_MS < latest {
            // Of all who notice, one makes up for it.
            let made_up = lost + latest - now;
            let _ = lost_ms.compare_exchange(lost, made_up, Ordering::Relaxed, Ordering::Relaxed);
        }
        Duration::from_millis(u64::try_from(now.max(latest)).unwrap_or(0))
    }
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>;

/// A spike's bucket, and what it was made for.
#[derive(Clone)]
struct SpikeBucket {
    stock: u32,
    rates: Rates,
    bucket: Arc<Bucket>,
}

/// The buckets of one instance.
pub(crate) struct Limits {
    rates: Live<Rates>,
    ticks: Ticks,
    spikes: Cache<SpikeId, SpikeBucket>,
    /// Held by whoever makes a spike's bucket: of two there would be twice as many tokens.
    making: Mutex<()>,
    users: Cache<UserId, Arc<Bucket>>,
    lookups: Bucket,
}

impl Limits {
    pub(crate) fn new(rates: Live<Rates>, clock: Clock) -> Self {
        let ticks = Ticks::new(clock);
        Self {
            rates,
            spikes: Cache::new(MOST_SPIKES),
            making: Mutex::new(()),
            users: Cache::new(MOST_USERS),
            lookups: bucket(LOOKUPS_PER_SEC, LOOKUPS_PER_SEC, &ticks),
            ticks,
        }
    }

    /// Takes a token for one buyer of a spike with `stock` units. A changed stock, or changed rates, start
    /// a full bucket of the new size.
    pub(crate) fn admits_to(&self, spike_id: SpikeId, stock: u32) -> bool {
        let rates = self.rates.get();
        if rates.burst_per_unit == 0 || rates.refill_per_unit == 0 {
            return true;
        }
        let fits = |kept: &SpikeBucket| kept.stock == stock && kept.rates == rates;
        let kept = self.spikes.get(&spike_id).filter(fits);
        let kept = kept.unwrap_or_else(|| {
            let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
            self.spikes.get(&spike_id).filter(fits).unwrap_or_else(|| {
                let made = self.spike_bucket(stock, rates);
                self.spikes.insert(spike_id, made.clone());
                made
            })
        });
        kept.bucket.check().is_ok()
    }

    fn spike_bucket(&self, stock: u32, rates: Rates) -> SpikeBucket {
        let burst = stock.saturating_mul(rates.burst_per_unit);
        let refill = stock.saturating_mul(rates.refill_per_unit);
        SpikeBucket {
            stock,
            rates,
            bucket: Arc::new(bucket(burst, refill, &self.ticks)),
        }
    }

    /// Takes one of the user's tokens: five a second.
    pub(crate) fn admits_user(&self, user_id: UserId) -> bool {
        let bucket = self.users.get(&user_id).unwrap_or_else(|| {
            let full = Arc::new(bucket(USER_PER_SEC, USER_PER_SEC, &self.ticks));
            // Of two first tries at the same time each gets a bucket, and one bucket stays. A lock for every buyer's
            // first try would cost more than that.
            self.users.insert(user_id, Arc::clone(&full));
            full
        });
        bucket.check().is_ok()
    }

    /// Takes a token for looking an id up that this instance has not found to be a spike.
    pub(crate) fn admits_lookup(&self) -> bool {
        self.lookups.check().is_ok()
    }
}

/// A full bucket; sizes of 0 count as 1.
fn bucket(burst: u32, refill_per_sec: u32, ticks: &Ticks) -> Bucket {
    let at_least_one = |size: u32| NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::per_second(at_least_one(refill_per_sec)).allow_burst(at_least_one(burst));
    RateLimiter::direct_with_clock(quota, ticks.clone())
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::*;

    fn limits(rates: impl Into<Live<Rates>>) -> (Arc<AtomicI64>, Limits) {
        let ms = Arc::new(AtomicI64::new(1_000_000));
        let read = Arc::clone(&ms);
        let clock: Clock = Arc::new(move || Timestamp::from_millis(read.load(Ordering::SeqCst)));
        (ms, Limits::new(rates.into(), clock))
    }

    fn spike_id() -> SpikeId {
        SpikeId::mint(Timestamp::from_millis(1), [1; 10])
    }

    #[test]
    fn a_spike_admits_twice_its_stock_at_once_and_twice_its_stock_a_second() {
        let (ms, limits) = limits(Rates::default());
        let admitted = || (0..50).filter(|_| limits.admits_to(spike_id(), 3)).count();
        assert_eq!(admitted(), 6);
        ms.fetch_add(1_000, Ordering::SeqCst);
        assert_eq!(admitted(), 6);
        ms.fetch_add(500, Ordering::SeqCst);
        assert_eq!(admitted(), 3);
    }

    #[test]
    fn a_raised_stock_gets_a_bigger_bucket() {
        let (_, limits) = limits(Rates::default());
        let admitted = |stock| {
            (0..50)
                .filter(|_| limits.admits_to(spike_id(), stock))
                .count()
        };
        assert_eq!(admitted(2), 4);
        assert_eq!(admitted(5), 10);
    }

    #[test]
    fn rates_that_change_change_the_buckets_there_are() {
        let (sender, rates) = Live::changing(Rates::default());
        let (ms, limits) = limits(rates);
        let admitted = || (0..50).filter(|_| limits.admits_to(spike_id(), 3)).count();
        assert_eq!(admitted(), 6);
        let send = |burst_per_unit, refill_per_unit| {
            let rates = Rates {
                burst_per_unit,
                refill_per_unit,
            };
            sender.send(rates).unwrap();
        };
        send(4, 1);
        assert_eq!(admitted(), 12);
        ms.fetch_add(1_000, Ordering::SeqCst);
        assert_eq!(admitted(), 3);
        send(0, 1);
        assert_eq!(admitted(), 50);
        send(1, 1);
        assert_eq!(admitted(), 3);
    }

    #[tokio::test]
    async fn the_sample_of_tunables_says_what_holds_without_it() {
        let sample = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/samples/tunables.toml"
        );
        let rates = Live::<Rates>::follow(sample).await.unwrap();
        assert_eq!(rates.get(), Rates::default());
    }

    #[tokio::test]
    async fn fault_34_rates_out_of_range_stop_the_start_and_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tunables.toml");
        std::fs::write(&path, "bucket_burst = 2\nbucket_refill = 1001\n").unwrap();
        let error = Live::<Rates>::follow(path).await.unwrap_err().to_string();
        let expected = "wrong in line 2: 1001 is not a number from 0 to 1000";
        assert!(error.ends_with(expected), "{error}");
    }

    #[test]
    fn a_bucket_of_rate_zero_is_off() {
        let (_, limits) = limits(Rates {
            burst_per_unit: 0,
            refill_per_unit: 2,
        });
        assert!((0..1_000).all(|_| limits.admits_to(spike_id(), 1)));
    }

    #[test]
    fn fault_16_a_clock_that_is_set_back_refuses_nobody() {
        let (ms, limits) = limits(Rates::default());
        let admitted = || (0..50).filter(|_| limits.admits_to(spike_id(), 3)).count();
        assert_eq!(admitted(), 6);
        ms.fetch_sub(300_000, Ordering::SeqCst);
        assert_eq!(admitted(), 0, "nothing is given away either");
        ms.fetch_add(1_000, Ordering::SeqCst);
        assert_eq!(admitted(), 6);
    }

    #[test]
    fn a_user_has_five_tries_a_second() {
        let (ms, limits) = limits(Rates::default());
        let user_id = UserId::mint(Timestamp::from_millis(1), [2; 10]);
        let admitted = || (0..50).filter(|_| limits.admits_user(user_id)).count();
        assert_eq!(admitted(), 5);
        ms.fetch_add(200, Ordering::SeqCst);
        assert_eq!(admitted(), 1);
    }
}
