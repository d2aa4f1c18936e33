//! Points in time.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize, de::Error as _};

/// A point in time, UTC, in whole milliseconds since the Unix epoch.
///
/// In JSON it is RFC 3339 with milliseconds (`2026-11-22T10:00:00.000Z`); in Redis and in tables it is the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// What tells the time: the machine's clock, Redis' clock, or a simulator's.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The latest point in time that has an RFC 3339 spelling: the end of the year 9999.
const LATEST_MS: i64 = 253_402_300_799_999;

impl Timestamp {
    /// The point `ms` milliseconds after the Unix epoch, brought into the years 1970 to 9999.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(if ms < 0 {
            0
        } else if ms > LATEST_MS {
            LATEST_MS
        } else {
            ms
        })
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0 / 1000
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        let ms = i64::try_from(later.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(ms))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, earlier: Duration) -> Self {
        let ms = i64::try_from(earlier.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(ms))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let time = DateTime::parse_from_rfc3339(&text)
            .map_err(|_| D::Error::custom("not a time of RFC 3339"))?;
        let ms = time.timestamp_millis();
        if (0..=LATEST_MS).contains(&ms) {
            Ok(Self(ms))
        } else {
            Err(D::Error::custom("a time outside of the years 1970 to 9999"))
        }
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
                utoipa::openapi::KnownFormat::DateTime,
            )))
            .examples(["2026-11-22T10:00:00.000Z"])
            .into()
    }
}

impl utoipa::ToSchema for Timestamp {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_survives_its_text(ms in 0..=LATEST_MS) {
            let time = Timestamp::from_millis(ms);
            let text = serde_json::to_string(&time).unwrap();
            prop_assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), time);
        }
    }

    #[test]
    fn offsets_are_read_and_nonsense_is_refused() {
        let time: Timestamp = serde_json::from_str("\"2026-11-22T11:00:00+01:00\"").unwrap();
        assert_eq!(time.to_string(), "2026-11-22T10:00:00.000Z");
        for text in [
            "\"\"",
            "\"yesterday\"",
            "1",
            "null",
            "\"-0001-01-01T00:00:00Z\"",
        ] {
            assert!(serde_json::from_str::<Timestamp>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arithmetic_stays_within_the_calendar() {
        let time = Timestamp::from_millis(5_000);
        assert_eq!((time + Duration::MAX).as_millis(), LATEST_MS);
        assert_eq!((time - Duration::MAX).as_millis(), 0);
        assert_eq!(time.since(Timestamp::from_millis(9_000)), Duration::ZERO);
    }
}
