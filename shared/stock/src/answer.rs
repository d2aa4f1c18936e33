//! Reading what Redis answers, strictly: whatever is not as our scripts write it is an error, never a default.

use std::str::FromStr;

use domain::{OrderId, Timestamp, Units, UserId};
use redis::Value;

use crate::Error;

/// The answer is not what this version's scripts write.
pub(crate) fn unreadable(what: &str, found: &(impl std::fmt::Debug + ?Sized)) -> Error {
    Error::Unreadable(format!("{what}: {found:?}"))
}

pub(crate) fn list(value: Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::Array(values) | Value::Set(values) => Ok(values),
        other => Err(unreadable("not a list", &other)),
    }
}

/// The answer as a list of exactly `N` values.
pub(crate) fn values<const N: usize>(value: Value) -> Result<[Value; N], Error> {
    let values = list(value)?;
    <[Value; N]>::try_from(values).map_err(|values| unreadable("a list of another length", &values))
}

pub(crate) fn text(value: Value) -> Result<String, Error> {
    match value {
        Value::BulkString(bytes) => {
            String::from_utf8(bytes).map_err(|error| unreadable("not UTF-8", error.as_bytes()))
        }
        Value::SimpleString(text) => Ok(text),
        other => Err(unreadable("not a text", &other)),
    }
}

pub(crate) fn optional(value: Value) -> Result<Option<String>, Error> {
    match value {
        Value::Nil => Ok(None),
        value => text(value).map(Some),
    }
}

/// A number, as an integer or as its text.
pub(crate) fn number<T: TryFrom<i64>>(value: Value) -> Result<T, Error> {
    let number = match value {
        Value::Int(number) => number,
        value => parsed(&text(value)?)?,
    };
    T::try_from(number).map_err(|_| unreadable("a number out of range", &number))
}

/// Whether the script did something: 1 or 0.
pub(crate) fn flag(value: Value) -> Result<bool, Error> {
    match value {
        Value::Int(0) => Ok(false),
        Value::Int(1) => Ok(true),
        other => Err(unreadable("neither 0 nor 1", &other)),
    }
}

pub(crate) fn parsed<T: FromStr>(text: &str) -> Result<T, Error> {
    text.parse()
        .map_err(|_| unreadable(std::any::type_name::<T>(), text))
}

pub(crate) fn time(value: Value) -> Result<Timestamp, Error> {
    number(value).map(Timestamp::from_millis)
}

/// A value of `buyers`: `reservation|units`.
pub(crate) fn hold(text: &str) -> Result<(OrderId, Units), Error> {
    let (order_id, units) = text
        .split_once('|')
        .ok_or_else(|| unreadable("not a hold", text))?;
    Ok((parsed(order_id)?, parsed(units)?))
}

/// A value of `held`: `reservation|user|ms`. The time is for the outbox only.
pub(crate) fn holder(text: &str) -> Result<(OrderId, UserId), Error> {
    let parts: Vec<&str> = text.split('|').collect();
    let [order_id, user_id, since] = parts[..] else {
        return Err(unreadable("not a holder", text));
    };
    parsed::<i64>(since)?;
    Ok((parsed(order_id)?, parsed(user_id)?))
}

#[cfg(test)]
pub(crate) mod tests;
