//! The envelope: an [`OrderPlaced`] as a `CloudEvent` 1.0 in JSON, and back.
//!
//! Written structured (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>,
//! section 3.2), read structured or binary (section 3.1), because a broker may turn one into the other:
//! ```json
//! {
//!   "specversion": "1.0", "type": "spike.order.placed.v1",
//!   "id": "<order id>", "subject": "<order id>", "source": "/spikes/<spike id>",
//!   "time": "2026-11-22T10:00:00.000Z", "partitionkey": "<order id>", "datacontenttype": "application/json",
//!   "data": { "order_id": "<order id>", "spike_id": "<spike id>", "user_id": "<user id>", "units": [4, 7] }
//! }
//! ```
//! The bytes follow from the event alone (`time` is when its order id was minted), so that each repetition of an
//! event is the same to the byte. Only what is sent while traces are on says besides in which trace that was, as the
//! attribute `traceparent`
//! (<https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/distributed-tracing.md>).
//! Extension attributes are allowed, since brokers add their own; anything else that
//! is not as above is an error, and nothing is guessed.

use chrono::DateTime;
use cloudevents::{
    AttributesReader, Data, Event, EventBuilder, EventBuilderV10,
    event::{ExtensionValue, SpecVersion},
};
use domain::{
    OrderId, OrderPlaced, SpikeId, Units, UserId,
    spike::{MAX_LIMIT_PER_USER, MAX_STOCK},
};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

/// The one type of event, with its version.
pub const TYPE: &str = "spike.order.placed.v1";
/// The content type of a structured event.
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";
/// The longest body that is read: 64 KiB.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

const TRACEPARENT: &str = "traceparent";
const STRUCTURED: &str = "application/cloudevents+json";
const JSON: &str = "application/json";

/// What is wrong with an event. No repetition makes it better: its receiver answers 400.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The body is longer than [`BODY_BYTES_MAX`].
    #[error("longer than 64 KiB")]
    TooLong,
    /// Neither a structured event by its content type nor a binary one by its headers.
    #[error("neither a structured nor a binary CloudEvent in JSON")]
    Mode,
    /// Not a `CloudEvent`: bad JSON, or an attribute that is missing or of the wrong kind.
    #[error("not a CloudEvent")]
    Malformed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An event of another type, or of a version that this receiver does not know.
    #[error("an event of an unknown type or version")]
    UnknownType,
    /// The data is missing, has missing or unknown fields, bad ids, or no, too many or impossible units.
    #[error("the data is not that of a placed order: {0}")]
    Data(String),
    /// An attribute that repeats what the data says is missing or says something else.
    #[error("the attribute {0} does not match the data")]
    Mismatch(&'static str),
}

/// The `data` of the event.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Placed {
    order_id: OrderId,
    spike_id: SpikeId,
    user_id: UserId,
    units: Units,
}

/// The event as structured JSON, to be sent with [`CONTENT_TYPE`].
#[must_use]
pub fn write(placed: &OrderPlaced) -> Vec<u8> {
    write_within(placed, None)
}

/// As [`write()`], as a part of the trace that `traceparent` names.
///
/// # Panics
/// Never: every attribute that an event must have is set, and all values are texts and numbers.
#[must_use]
pub fn write_within(placed: &OrderPlaced, traceparent: Option<&str>) -> Vec<u8> {
    let id = placed.order_id.to_string();
    let data = serde_json::json!({
        "order_id": placed.order_id,
        "spike_id": placed.spike_id,
        "user_id": placed.user_id,
        "units": placed.units,
    });
    let mut event = EventBuilderV10::new()
        .id(&id)
        .ty(TYPE)
        .source(source(placed.spike_id))
        .subject(&id)
        .extension("partitionkey", id.as_str())
        .data(JSON, data);
    let minted_at = placed.order_id.minted_at().as_millis();
    if let Some(time) = DateTime::from_timestamp_millis(minted_at) {
        event = event.time(time);
    }
    if let Some(traceparent) = traceparent {
        event = event.extension(TRACEPARENT, traceparent);
    }
    #[expect(
        clippy::expect_used,
        reason = "id, type and source are set, and all values are texts and numbers"
    )]
    let bytes = serde_json::to_vec(&event.build().expect("complete")).expect("plain values");
    bytes
}

/// An event that was read, and what its envelope says besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The event.
    pub placed: OrderPlaced,
    /// The trace in which it was sent, as its sender wrote it: to be parsed by who continues it.
    pub traceparent: Option<String>,
}

/// Reads an event as it came over HTTP, structured or binary.
pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<OrderPlaced, EnvelopeError> {
    receive(headers, body).map(|received| received.placed)
}

/// As [`read`], with the trace of the event.
pub fn receive(headers: &HeaderMap, body: &[u8]) -> Result<Received, EnvelopeError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(EnvelopeError::TooLong);
    }
    let content_type = header_text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(STRUCTURED) {
        received(&serde_json::from_slice(body).map_err(malformed)?)
    } else if essence.eq_ignore_ascii_case(JSON) && headers.contains_key("ce-specversion") {
        received(&binary(headers, body)?)
    } else {
        Err(EnvelopeError::Mode)
    }
}

/// Reads a structured event from its JSON.
pub fn read_structured(body: &[u8]) -> Result<OrderPlaced, EnvelopeError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(EnvelopeError::TooLong);
    }
    placed(&serde_json::from_slice(body).map_err(malformed)?)
}

/// A binary event: attributes in `ce-` headers, the data as the body.
fn binary(headers: &HeaderMap, body: &[u8]) -> Result<Event, EnvelopeError> {
    if header_text(headers, "ce-specversion") != Some("1.0") {
        return Err(EnvelopeError::UnknownType);
    }
    let data: serde_json::Value = serde_json::from_slice(body).map_err(malformed)?;
    let mut event = EventBuilderV10::new().data(JSON, data);
    if let Some(id) = header_text(headers, "ce-id") {
        event = event.id(id);
    }
    if let Some(ty) = header_text(headers, "ce-type") {
        event = event.ty(ty);
    }
    if let Some(source) = header_text(headers, "ce-source") {
        event = event.source(source);
    }
    if let Some(subject) = header_text(headers, "ce-subject") {
        event = event.subject(subject);
    }
    if let Some(traceparent) = header_text(headers, "ce-traceparent") {
        event = event.extension(TRACEPARENT, traceparent);
    }
    event.build().map_err(malformed)
}

fn received(event: &Event) -> Result<Received, EnvelopeError> {
    let placed = placed(event)?;
    let traceparent = match event.extension(TRACEPARENT) {
        Some(ExtensionValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    Ok(Received {
        placed,
        traceparent,
    })
}

fn placed(event: &Event) -> Result<OrderPlaced, EnvelopeError> {
    if event.specversion() != SpecVersion::V10 || event.ty() != TYPE {
        return Err(EnvelopeError::UnknownType);
    }
    let Some(Data::Json(data)) = event.data() else {
        return Err(EnvelopeError::Data("no JSON".to_owned()));
    };
    let data = Placed::deserialize(data).map_err(|error| EnvelopeError::Data(error.to_string()))?;
    if data.units.is_empty() || data.units.quantity() > MAX_LIMIT_PER_USER {
        return Err(EnvelopeError::Data("no units, or too many".to_owned()));
    }
    if data.units.highest() > MAX_STOCK {
        return Err(EnvelopeError::Data("a unit that no spike has".to_owned()));
    }
    let id = data.order_id.to_string();
    let repeated = [
        ("id", event.id() == id),
        ("subject", event.subject() == Some(id.as_str())),
        ("source", *event.source() == source(data.spike_id)),
    ];
    if let Some((attribute, _)) = repeated.into_iter().find(|(_, matches)| !matches) {
        return Err(EnvelopeError::Mismatch(attribute));
    }
    Ok(OrderPlaced {
        order_id: data.order_id,
        spike_id: data.spike_id,
        user_id: data.user_id,
        units: data.units,
    })
}

fn source(spike_id: SpikeId) -> String {
    format!("/spikes/{spike_id}")
}

fn malformed(error: impl std::error::Error + Send + Sync + 'static) -> EnvelopeError {
    EnvelopeError::Malformed(Box::new(error))
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests;
