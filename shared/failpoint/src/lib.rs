//! Named points between two durable steps, at which a process can be made to die.
//!
//! `scripts/break` kills every function at every point in turn and looks whether the sale keeps its promises. A point costs
//! nothing in what is shipped: without the feature `enabled` passing it compiles to nothing.
//!
//! With the feature, `FAILPOINT=NAME` in the environment of a process makes it abort when it passes the point of that name,
//! and `FAILPOINT=NAME:3` when it does so for the third time. An abort runs no destructor and flushes nothing; whoever waits
//! for the process can tell it from any other end by its signal. `CLOCK_OFFSET_MS=300000` puts its clock five minutes ahead.

/// Passes a point.
#[cfg(not(feature = "enabled"))]
#[inline]
pub const fn pass(_name: &str) {}

/// Passes a point, or dies there.
#[cfg(feature = "enabled")]
pub fn pass(name: &str) {
    enabled::pass(name);
}

/// How far the process' clock is ahead of the machine's, in milliseconds.
#[cfg(not(feature = "enabled"))]
#[inline]
#[must_use]
pub const fn clock_offset_ms() -> i64 {
    0
}

/// How far the process' clock is ahead of the machine's, in milliseconds.
#[cfg(feature = "enabled")]
#[must_use]
pub fn clock_offset_ms() -> i64 {
    *enabled::CLOCK_OFFSET_MS
}

#[cfg(feature = "enabled")]
mod enabled {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };

    /// The point at which this process dies, and how often it passes there, the last time included.
    static DEADLY: LazyLock<Option<(String, u64)>> =
        LazyLock::new(|| parse(&from_environment("FAILPOINT")?));
    static PASSED: AtomicU64 = AtomicU64::new(0);
    pub(super) static CLOCK_OFFSET_MS: LazyLock<i64> = LazyLock::new(|| {
        let offset = from_environment("CLOCK_OFFSET_MS");
        offset.and_then(|it| it.parse().ok()).unwrap_or(0)
    });

    #[expect(
        clippy::disallowed_methods,
        reason = "points are not configuration: no `main.rs` knows of them"
    )]
    fn from_environment(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    /// Without a number it is the first time.
    pub(super) fn parse(text: &str) -> Option<(String, u64)> {
        let (name, passings) = text.split_once(':').unwrap_or((text, "1"));
        Some((name.to_owned(), passings.parse().ok()?))
    }

    pub(super) fn pass(name: &str) {
        let Some((deadly, passings)) = &*DEADLY else {
            return;
        };
        if deadly == name && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *passings {
            std::process::abort();
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_is_named_with_or_without_a_number() {
            assert_eq!(parse("sale.ended"), Some(("sale.ended".to_owned(), 1)));
            assert_eq!(parse("sale.ended:3"), Some(("sale.ended".to_owned(), 3)));
            assert_eq!(parse("sale.ended:x"), None);
        }

        #[test]
        fn a_point_that_nobody_named_is_passed() {
            pass("sale.ended");
        }
    }
}
