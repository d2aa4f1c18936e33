//! Items as they are written, and their strict reading.
//!
//! What cannot be read is [`Error::Corrupt`], which names the table and the attribute and never quotes the value.

use std::{collections::HashMap, str::FromStr};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::Timestamp;
use serde::{
    Serialize,
    de::{
        DeserializeOwned, IntoDeserializer,
        value::{Error as WordError, StrDeserializer},
    },
};

use crate::Error;

/// An item as the engine knows it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// A text attribute.
#[expect(
    clippy::needless_pass_by_value,
    reason = "ids, texts and references to them are all handed in"
)]
pub(super) fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

/// A number attribute.
pub(super) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// A truth value.
pub(super) fn flag(value: bool) -> AttributeValue {
    AttributeValue::Bool(value)
}

/// A point in time, as its milliseconds.
pub(super) fn time(value: Timestamp) -> AttributeValue {
    number(value.as_millis())
}

/// An attribute that may have no value: then it is the engine's null, so that one update expression fits both.
pub(super) fn optional(value: Option<AttributeValue>) -> AttributeValue {
    value.unwrap_or(AttributeValue::Null(true))
}

/// Structured content that no condition looks into: JSON as text, which keeps numbers exactly as they came.
pub(super) fn json(
    table: &'static str,
    name: &str,
    value: &impl Serialize,
) -> Result<AttributeValue, Error> {
    let text = serde_json::to_string(value)
        .map_err(|_| Error::Corrupt(format!("{table}.{name} cannot be written")))?;
    Ok(AttributeValue::S(text))
}

/// An item from attributes.
pub(super) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// An item of a table that is being read.
#[derive(Debug, Clone)]
pub(super) struct Row {
    table: &'static str,
    item: Item,
}

/// Those of the rows that can be read. The others are logged: whoever works through a listing goes on without them.
pub(super) fn readable<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T, Error>) -> Vec<T> {
    rows.iter()
        .filter_map(|row| {
            read(row)
                .inspect_err(|error| {
                    let id = row.text("id").unwrap_or_default();
                    observe::INCIDENTS.add(1, [&"unreadable-row", &""]);
                    tracing::error!(row.table = row.table, row.id = id, %error, "unreadable, and left out");
                })
                .ok()
        })
        .collect()
}

impl Row {
    pub(super) fn new(table: &'static str, item: Item) -> Self {
        Self { table, item }
    }

    /// That the attribute `name` is missing or no value of its kind.
    pub(super) fn corrupt(&self, name: &str) -> Error {
        Error::Corrupt(format!("{}.{name}", self.table))
    }

    /// Whether the attribute is there with just this value.
    pub(super) fn has(&self, name: &str, value: &AttributeValue) -> bool {
        self.item.get(name) == Some(value)
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, Error> {
        let value = self.item.get(name).and_then(|value| value.as_s().ok());
        value.map(String::as_str).ok_or_else(|| self.corrupt(name))
    }

    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<T, Error> {
        let value = self.item.get(name).and_then(|value| value.as_n().ok());
        value
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| self.corrupt(name))
    }

    pub(super) fn time(&self, name: &str) -> Result<Timestamp, Error> {
        let ms = self.number(name)?;
        let time = Timestamp::from_millis(ms);
        if time.as_millis() == ms {
            Ok(time)
        } else {
            Err(self.corrupt(name))
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Error> {
        let value = self.item.get(name).and_then(|value| value.as_bool().ok());
        value.copied().ok_or_else(|| self.corrupt(name))
    }

    /// A text that is one word of a vocabulary: an id, a state, a currency.
    pub(super) fn word<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let deserializer: StrDeserializer<'_, WordError> = self.text(name)?.into_deserializer();
        T::deserialize(deserializer).map_err(|_| self.corrupt(name))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        serde_json::from_str(self.text(name)?).map_err(|_| self.corrupt(name))
    }

    /// What `read` makes of the attribute, if it is there and not null.
    pub(super) fn optional<'a, T>(
        &'a self,
        name: &str,
        read: impl FnOnce(&'a Self, &str) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let is_there = self.item.get(name).is_some_and(|value| !value.is_null());
        is_there.then(|| read(self, name)).transpose()
    }
}
