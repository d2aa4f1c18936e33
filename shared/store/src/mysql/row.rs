//! Rows and their strict reading.
//!
//! What cannot be read is [`Error::Corrupt`], which names the table and the column and never quotes the value.

use domain::Timestamp;
use serde::{
    Serialize,
    de::{
        DeserializeOwned, IntoDeserializer,
        value::{Error as WordError, StrDeserializer},
    },
};
use sqlx::{Decode, MySql, Row as _, Type, mysql::MySqlRow};

use crate::Error;

/// A row of a table that is being read.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    table: &'static str,
    row: &'a MySqlRow,
}

/// Structured content that no condition looks into: JSON as text, which keeps numbers exactly as they came.
pub(super) fn json(
    table: &'static str,
    name: &str,
    value: &impl Serialize,
) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|_| Error::Corrupt(format!("{table}.{name} cannot be written")))
}

/// Those of the rows that can be read. The others are logged: whoever works through a listing goes on without them.
pub(super) fn readable<T>(
    table: &'static str,
    rows: &[MySqlRow],
    read: impl Fn(Row<'_>) -> Result<T, Error>,
) -> Vec<T> {
    let rows = rows.iter().map(|row| Row::new(table, row));
    rows.filter_map(|row| {
        read(row)
            .inspect_err(|error| {
                let id = row.bytes("id").unwrap_or_default();
                observe::INCIDENTS.add(1, [&"unreadable-row", &""]);
                tracing::error!(row.table = table, row.id = ?id, %error, "unreadable, and left out");
            })
            .ok()
    })
    .collect()
}

impl<'a> Row<'a> {
    pub(super) fn new(table: &'static str, row: &'a MySqlRow) -> Self {
        Self { table, row }
    }

    /// The row itself.
    pub(super) fn inner(self) -> &'a MySqlRow {
        self.row
    }

    /// That the column `name` is missing or no value of its kind.
    pub(super) fn corrupt(self, name: &str) -> Error {
        Error::Corrupt(format!("{}.{name}", self.table))
    }

    fn get<T: Decode<'a, MySql> + Type<MySql>>(self, name: &str) -> Result<T, Error> {
        self.row.try_get(name).map_err(|_| self.corrupt(name))
    }

    pub(super) fn bytes(self, name: &str) -> Result<&'a [u8], Error> {
        self.get(name)
    }

    /// Sixteen bytes: an id, or a token.
    pub(super) fn id(self, name: &str) -> Result<[u8; 16], Error> {
        let bytes = self.bytes(name)?;
        bytes.try_into().map_err(|_| self.corrupt(name))
    }

    pub(super) fn text(self, name: &str) -> Result<&'a str, Error> {
        str::from_utf8(self.bytes(name)?).map_err(|_| self.corrupt(name))
    }

    pub(super) fn number(self, name: &str) -> Result<u64, Error> {
        self.get(name)
    }

    /// A number of 32 bits.
    pub(super) fn small(self, name: &str) -> Result<u32, Error> {
        self.get(name)
    }

    pub(super) fn time(self, name: &str) -> Result<Timestamp, Error> {
        let ms = self.get(name)?;
        let time = Timestamp::from_millis(ms);
        if time.as_millis() == ms {
            Ok(time)
        } else {
            Err(self.corrupt(name))
        }
    }

    pub(super) fn flag(self, name: &str) -> Result<bool, Error> {
        match self.get::<i8>(name)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.corrupt(name)),
        }
    }

    /// A text that is one word of a vocabulary: a state, a currency, a name.
    pub(super) fn word<T: DeserializeOwned>(self, name: &str) -> Result<T, Error> {
        let deserializer: StrDeserializer<'_, WordError> = self.text(name)?.into_deserializer();
        T::deserialize(deserializer).map_err(|_| self.corrupt(name))
    }

    pub(super) fn json<T: DeserializeOwned>(self, name: &str) -> Result<T, Error> {
        serde_json::from_str(self.text(name)?).map_err(|_| self.corrupt(name))
    }

    /// What `read` makes of the column, if it is not NULL.
    pub(super) fn optional<T>(
        self,
        name: &str,
        read: impl FnOnce(Self, &str) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        use sqlx::ValueRef as _;
        let value = self.row.try_get_raw(name).map_err(|_| self.corrupt(name))?;
        let is_there = !value.is_null();
        is_there.then(|| read(self, name)).transpose()
    }
}
