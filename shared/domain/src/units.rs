//! Numbered units of stock.
//!
//! A spike's stock is the numbers 1..`top`. Redis hands a number out; the store accepts each number once.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::Error as _};

/// One numbered piece of a spike's stock, from 1.
pub type Unit = u32;

/// Some units of one spike: ascending, none twice.
///
/// Text is the numbers with commas (`3,7`), the bytes that Redis' `pending` holds. [`Units::runs`] is the short form for
/// many (`1-50,53`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Units(Vec<Unit>);

/// The text is not a list of units in its canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not units: expected ascending numbers from 1 with commas")]
pub struct ParseUnitsError;

impl Units {
    /// No units.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The units as numbers, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[Unit] {
        &self.0
    }

    /// The units as numbers, ascending.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Unit> + '_ {
        self.0.iter().copied()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many there are, as an order's quantity.
    #[must_use]
    pub fn quantity(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `unit` is one of them.
    #[must_use]
    pub fn contains(&self, unit: Unit) -> bool {
        self.0.binary_search(&unit).is_ok()
    }

    /// Those that `other` does not have.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        self.iter().filter(|unit| !other.contains(*unit)).collect()
    }

    /// The highest number, 0 if there are none.
    #[must_use]
    pub fn highest(&self) -> Unit {
        self.0.last().copied().unwrap_or(0)
    }

    /// The short form for many units: `1-50,53`; empty for none.
    #[must_use]
    pub fn runs(&self) -> String {
        let mut text = String::new();
        for run in self.0.chunk_by(|a, b| a + 1 == *b) {
            if !text.is_empty() {
                text.push(',');
            }
            match run {
                [one] => text.push_str(&one.to_string()),
                [first, .., last] => text.extend([first.to_string(), "-".into(), last.to_string()]),
                [] => {}
            }
        }
        text
    }
}

impl FromIterator<Unit> for Units {
    fn from_iter<I: IntoIterator<Item = Unit>>(units: I) -> Self {
        let mut units: Vec<Unit> = units.into_iter().collect();
        units.sort_unstable();
        units.dedup();
        Self(units)
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, unit) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            unit.fmt(f)?;
        }
        Ok(())
    }
}

impl FromStr for Units {
    type Err = ParseUnitsError;

    fn from_str(text: &str) -> Result<Self, ParseUnitsError> {
        let units: Vec<Unit> = match text {
            "" => Vec::new(),
            _ => text.split(',').map(parse_unit).collect::<Result<_, _>>()?,
        };
        if units.is_sorted_by(|a, b| a < b) {
            Ok(Self(units))
        } else {
            Err(ParseUnitsError)
        }
    }
}

fn parse_unit(text: &str) -> Result<Unit, ParseUnitsError> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse()
        .ok()
        .filter(|_| canonical)
        .ok_or(ParseUnitsError)
}

impl Serialize for Units {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let units = Vec::<Unit>::deserialize(deserializer)?;
        if units.first() != Some(&0) && units.is_sorted_by(|a, b| a < b) {
            Ok(Self(units))
        } else {
            Err(D::Error::custom(ParseUnitsError))
        }
    }
}

impl utoipa::PartialSchema for Units {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        <Vec<Unit> as utoipa::PartialSchema>::schema()
    }
}

impl utoipa::ToSchema for Units {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn units_survive_their_text_and_json(numbers in proptest::collection::vec(1_u32..200_000, 0..40)) {
            let units: Units = numbers.into_iter().collect();
            prop_assert_eq!(units.to_string().parse::<Units>().unwrap(), units.clone());
            let json = serde_json::to_string(&units).unwrap();
            prop_assert_eq!(serde_json::from_str::<Units>(&json).unwrap(), units);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            if let Ok(units) = text.parse::<Units>() {
                prop_assert_eq!(units.to_string(), text);
            }
        }
    }

    #[test]
    fn runs_are_short() {
        let units: Units = (1..=50).chain([53, 60, 61]).collect();
        assert_eq!(units.runs(), "1-50,53,60-61");
        assert_eq!(Units::none().runs(), "");
    }

    #[test]
    fn only_the_canonical_form_parses() {
        for text in [
            "0",
            "01",
            "2,1",
            "1,1",
            "1,",
            ",1",
            "+1",
            " 1",
            "4294967296",
        ] {
            assert_eq!(text.parse::<Units>(), Err(ParseUnitsError), "{text}");
        }
        for json in ["[0]", "[2,1]", "[1,1]", "[-1]", "[1.5]", "\"1\""] {
            assert!(serde_json::from_str::<Units>(json).is_err(), "{json}");
        }
    }
}
