//! JSON in and out.
//!
//! In: `Content-Type: application/json` (else 415), within the body's limit (413, 408), and exactly one object that
//! fits the type, without doubled keys at any depth (else 400). Out: compact JSON.

use std::{collections::HashSet, fmt};

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor},
};

use super::read;
use crate::problem::{Code, Problem};

/// A JSON body, of a request or of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

/// A JSON body that may be left out: an empty body is the type's default, whatever its `Content-Type`.
#[derive(Debug, Clone, Copy)]
pub struct OptionalJson<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_type(request.headers())?;
        parse(&read(request).await?).map(Self)
    }
}

impl<T, S> FromRequest<S> for OptionalJson<T>
where
    T: DeserializeOwned + Default,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let typed = check_type(request.headers());
        let body = read(request).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        typed?;
        parse(&body).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                let json = HeaderValue::from_static("application/json");
                ([(header::CONTENT_TYPE, json)], body).into_response()
            }
            Err(error) => {
                tracing::error!(%error, "an answer has no JSON form");
                Problem::new(Code::Internal).into_response()
            }
        }
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = text.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Problem::new(Code::UnsupportedMediaType))
    }
}

/// Reads one JSON document as strictly as [`Json`] does: a line of a longer body, for instance.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // `serde` also reads a struct from an array, field by field. Nobody means that.
    if body.trim_ascii_start().first() == Some(&b'[') {
        let detail = "The body is an array, not an object.";
        return Err(Problem::new(Code::Malformed).detail(detail));
    }
    serde_json::from_slice::<Unique>(body).map_err(|error| refusal(&error))?;
    serde_json::from_slice(body).map_err(|error| refusal(&error))
}

/// `serde_json`'s own message may quote the body; the position and the kind do not.
fn refusal(error: &serde_json::Error) -> Problem {
    let fault = if error.is_data() {
        "has a field that is missing, unknown, doubled or not of its form"
    } else {
        "is not JSON"
    };
    let (line, column) = (error.line(), error.column());
    let detail = format!("The body {fault}, at line {line}, column {column}.");
    Problem::new(Code::Malformed).detail(detail)
}

/// Any JSON in which no object has a key twice. Two readers of a doubled key need not agree on what it says.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !keys.insert(key) {
                return Err(A::Error::custom("a key is doubled"));
            }
            map.next_value::<Unique>()?;
        }
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        while seq.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }
}
