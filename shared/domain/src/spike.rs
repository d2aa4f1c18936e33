//! Spikes: what an admin sets, what the sale has made of it, and what a buyer may expect.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Money, SpikeId, Timestamp};

/// The most units that a spike may have; Redis' memory is bounded by it.
pub const MAX_STOCK: u32 = 100_000;
/// The most units that one user may buy in one spike.
pub const MAX_LIMIT_PER_USER: u32 = 10;
/// The most access rules that a spike may have.
pub const MAX_RULES: usize = 16;
/// The longest pay window: seven days.
pub const MAX_PAY_WITHIN_SECS: u32 = 7 * 24 * 3600;
/// The most buyers that a spike may be announced for.
pub const MAX_EXPECTED_BUYERS: u32 = 10_000_000;
/// The longest sale: 31 days.
pub const MAX_DURATION: Duration = Duration::from_hours(31 * 24);

/// One access rule: a user may buy only if `allow_if` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What the rule is called when it is at fault.
    #[schema(min_length = 1, max_length = 64, example = "adults")]
    pub name: String,
    /// A CEL expression over `user.id`, `user.attributes`, `spike` and `now`.
    #[schema(
        min_length = 1,
        max_length = 2048,
        example = "user.attributes.age >= 18"
    )]
    pub allow_if: String,
    /// What a user is told whom the rule refuses.
    #[schema(min_length = 1, max_length = 200, example = "Only for adults.")]
    pub reason: String,
}

/// What an admin decides about a spike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What is sold.
    #[schema(min_length = 1, max_length = 200, example = "One hundred sneakers")]
    pub name: String,
    /// More about it, as plain text.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub description: String,
    /// How many units are to be sold in all.
    #[schema(minimum = 0, maximum = 100_000, example = 100)]
    pub stock: u32,
    /// How many units one user may buy.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 10, example = 1)]
    pub limit_per_user: u32,
    /// The price of one unit.
    pub price: Money,
    /// When the sale opens.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// How long a placed order waits for its payment.
    #[serde(default = "fifteen_minutes")]
    #[schema(minimum = 1, maximum = 604_800, example = 900)]
    pub pay_within_secs: u32,
    /// Who may buy: all rules must hold.
    #[serde(default)]
    #[schema(max_items = 16)]
    pub rules: Vec<Rule>,
    /// How many people are expected to try. Where prewarm runs, capacity is raised for them before the start.
    // Not written where it is not set: a build that does not know the field can still read such a spike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_000_000, example = 10_000)]
    pub expected_buyers: Option<u32>,
}

fn one() -> u32 {
    1
}

fn fifteen_minutes() -> u32 {
    900
}

/// A setting that no spike may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidSetting {
    /// The field's name in JSON.
    pub field: &'static str,
    /// What it must be.
    pub problem: &'static str,
}

impl Settings {
    /// Checks every setting but the rules' expressions, which `access` compiles.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let check = |holds: bool, field, problem| {
            if holds {
                Ok(())
            } else {
                Err(InvalidSetting { field, problem })
            }
        };
        check(
            is_line(&self.name, 200),
            "name",
            "1 to 200 characters without control characters",
        )?;
        check(
            self.description.chars().count() <= 2000,
            "description",
            "at most 2000 characters",
        )?;
        check(self.stock <= MAX_STOCK, "stock", "at most 100000")?;
        let limit = 1..=MAX_LIMIT_PER_USER;
        check(
            limit.contains(&self.limit_per_user),
            "limit_per_user",
            "1 to 10",
        )?;
        let price = self.price.amount_minor;
        check(
            price <= Money::MAX_AMOUNT_MINOR,
            "price.amount_minor",
            "at most 1000000000000",
        )?;
        check(self.starts_at < self.ends_at, "ends_at", "after starts_at")?;
        let duration = self.ends_at.since(self.starts_at);
        check(
            duration <= MAX_DURATION,
            "ends_at",
            "at most 31 days after starts_at",
        )?;
        let pay_window = 1..=MAX_PAY_WITHIN_SECS;
        check(
            pay_window.contains(&self.pay_within_secs),
            "pay_within_secs",
            "1 to 604800",
        )?;
        let crowd = 1..=MAX_EXPECTED_BUYERS;
        check(
            self.expected_buyers.is_none_or(|it| crowd.contains(&it)),
            "expected_buyers",
            "1 to 10000000",
        )?;
        check(self.rules.len() <= MAX_RULES, "rules", "at most 16")?;
        for rule in &self.rules {
            check(is_line(&rule.name, 64), "rules.name", "1 to 64 characters")?;
            check(
                is_line(&rule.reason, 200),
                "rules.reason",
                "1 to 200 characters",
            )?;
        }
        Ok(())
    }
}

fn is_line(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
}

/// One flash sale, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spike {
    /// Its id.
    pub id: SpikeId,
    /// Raised by every admin write, and by nothing else: its `ETag`.
    pub version: u64,
    /// What the admin decides. `settings.stock` is the target that `top - retired` moves to.
    pub settings: Settings,
    /// Whether an admin has paused the sale.
    pub paused: bool,
    /// The highest unit number; only grows.
    pub top: u32,
    /// How many of the units 1..`top` the house took back.
    pub retired: u32,
    /// How often the sale was loaded into Redis; 0 means that every unit is free.
    pub epoch: u64,
    /// Whether the sweeper has closed the sale after its end.
    pub closed: bool,
    /// Whether the sale's state in Redis has been dropped, a day after its end.
    pub shelved: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What Redis keeps as the sale's `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gate {
    /// Sells between `starts_at` and `ends_at`.
    Open,
    /// An admin has paused it.
    Paused,
    /// It has ended for good.
    Closed,
}

impl Gate {
    /// The word in Redis.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Closed => "closed",
        }
    }
}

/// What a buyer sees of a spike's course.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has not started.
    Upcoming,
    /// It sells.
    Running,
    /// It runs, but nothing is left at the moment.
    SoldOut,
    /// It is over.
    Ended,
    /// An admin has paused it.
    Paused,
}

impl Spike {
    /// A new spike that nobody has bought from.
    #[must_use]
    pub fn new(id: SpikeId, settings: Settings, now: Timestamp) -> Self {
        Self {
            id,
            version: 1,
            top: settings.stock,
            settings,
            paused: false,
            retired: 0,
            epoch: 0,
            closed: false,
            shelved: false,
            created_at: now,
        }
    }

    /// The sale's `state` in Redis.
    #[must_use]
    pub fn gate(&self) -> Gate {
        match (self.closed, self.paused) {
            (true, _) => Gate::Closed,
            (false, true) => Gate::Paused,
            (false, false) => Gate::Open,
        }
    }

    /// How many units exist and are not retired.
    #[must_use]
    pub fn live_units(&self) -> u32 {
        self.top.saturating_sub(self.retired)
    }

    /// Whether the sale is over at `now`.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.closed || now >= self.settings.ends_at
    }

    /// How long an order of this spike waits for its payment.
    #[must_use]
    pub fn pay_within(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.pay_within_secs))
    }

    /// What a buyer sees at `now` with `left` units on offer (unknown counts as some).
    #[must_use]
    pub fn status(&self, now: Timestamp, left: Option<u32>) -> Status {
        if self.has_ended(now) {
            Status::Ended
        } else if self.paused {
            Status::Paused
        } else if now < self.settings.starts_at {
            Status::Upcoming
        } else if left == Some(0) {
            Status::SoldOut
        } else {
            Status::Running
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut Settings);

    fn settings() -> Settings {
        serde_json::from_value(serde_json::json!({
            "name": "Shoes", "stock": 3, "price": { "amount_minor": 100, "currency": "EUR" },
            "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-01T01:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn each_setting_out_of_bounds_is_named() {
        let id = SpikeId::mint(Timestamp::from_millis(0), [0; 10]);
        assert_eq!(settings().validate(), Ok(()));
        assert_eq!(
            Spike::new(id, settings(), Timestamp::from_millis(0)).live_units(),
            3
        );
        let rule = Rule {
            name: "a\nb".into(),
            allow_if: "true".into(),
            reason: "no".into(),
        };
        let cases: [(&str, Spoil); 10] = [
            ("name", |s| s.name = "  ".into()),
            ("description", |s| s.description = "x".repeat(2001)),
            ("stock", |s| s.stock = MAX_STOCK + 1),
            ("limit_per_user", |s| s.limit_per_user = 0),
            ("price.amount_minor", |s| s.price.amount_minor = u64::MAX),
            ("ends_at", |s| s.ends_at = s.starts_at),
            ("ends_at", |s| {
                s.ends_at = s.starts_at + MAX_DURATION + Duration::from_millis(1);
            }),
            ("pay_within_secs", |s| s.pay_within_secs = 0),
            ("expected_buyers", |s| s.expected_buyers = Some(0)),
            ("expected_buyers", |s| {
                s.expected_buyers = Some(MAX_EXPECTED_BUYERS + 1);
            }),
        ];
        for (field, spoil) in cases {
            let mut settings = settings();
            spoil(&mut settings);
            assert_eq!(settings.validate().unwrap_err().field, field);
        }
        let mut many = settings();
        many.rules = vec![rule.clone(); MAX_RULES + 1];
        assert_eq!(many.validate().unwrap_err().field, "rules");
        many.rules = vec![rule];
        assert_eq!(many.validate().unwrap_err().field, "rules.name");
    }

    #[test]
    fn settings_that_were_stored_before_there_was_a_crowd_are_read_and_written_as_they_were() {
        let mut settings = settings();
        assert_eq!(settings.expected_buyers, None);
        let stored = serde_json::to_value(&settings).unwrap();
        assert_eq!(stored.get("expected_buyers"), None);
        settings.expected_buyers = Some(MAX_EXPECTED_BUYERS);
        assert_eq!(settings.validate(), Ok(()));
        let stored = serde_json::to_value(&settings).unwrap();
        assert_eq!(stored["expected_buyers"], 10_000_000);
        let read: Settings = serde_json::from_value(stored).unwrap();
        assert_eq!(read, settings);
    }

    #[test]
    fn the_status_follows_the_window_the_pause_and_the_stock() {
        let start = settings().starts_at;
        let mut spike = Spike::new(SpikeId::mint(start, [0; 10]), settings(), start);
        assert_eq!(
            spike.status(start - Duration::from_millis(1), Some(3)),
            Status::Upcoming
        );
        assert_eq!(spike.status(start, Some(3)), Status::Running);
        assert_eq!(spike.status(start, None), Status::Running);
        assert_eq!(spike.status(start, Some(0)), Status::SoldOut);
        assert_eq!(spike.status(settings().ends_at, Some(3)), Status::Ended);
        spike.paused = true;
        assert_eq!(
            (spike.status(start, Some(3)), spike.gate()),
            (Status::Paused, Gate::Paused)
        );
        spike.closed = true;
        assert_eq!(
            (spike.status(start, Some(3)), spike.gate()),
            (Status::Ended, Gate::Closed)
        );
    }
}
