//! `POST /events/dead-letter`: keeps whatever arrives.
//!
//! An event of ours is kept in the structured form in which it is sent again, whatever form the broker used. Anything
//! else is kept as text: its `ce-` headers, if it has any, an empty line, and the body.

use std::{fmt::Write, sync::Arc};

use aws_lc_rs::digest;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use domain::Clock;
use events::envelope;
use runtime::extract::Bytes;
use serde_json::Value;
use store::{DeadLetter, Store};
use tracing::field;

use crate::Error;

/// What may arrive. More than is kept, so that a giant is kept in part rather than refused and lost.
pub(crate) const ARRIVING_BYTES_MAX: u64 = 1024 * 1024;
/// What is kept of a body.
pub(crate) const KEPT_BYTES_MAX: usize = 256 * 1024;
/// What is kept of a reason.
const REASON_BYTES_MAX: usize = 500;

/// The reason as our own broker gives it.
const REASON: &str = "x-spike-reason";
/// The reason as Knative gives it, as extension attributes: the status and the body of the last answer
/// (<https://github.com/knative/specs/blob/main/specs/eventing/data-plane.md>, "Derived error information").
const KNATIVE_REASON: [&str; 2] = ["knativeerrorcode", "knativeerrordata"];

/// What keeping needs.
#[derive(Clone)]
pub(crate) struct Keeper {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
}

/// Keeps what the broker gave up on.
pub(crate) async fn keep(
    State(keeper): State<Keeper>,
    headers: HeaderMap,
    Bytes(body): Bytes,
) -> Result<StatusCode, Error> {
    let letter = DeadLetter {
        reason: reason(&headers, &body),
        received_at: (keeper.clock)(),
        redriven_at: None,
        ..letter(&headers, &body)
    };
    let is_new = is_new(keeper.store.dead_letter(&letter.id).await?.as_ref());
    keeper.store.add_dead_letter(&letter).await?;
    report(&letter, is_new, &headers, &body);
    Ok(StatusCode::NO_CONTENT)
}

/// Whether a letter counts, of which this is kept: one that was sent again and has come back counts once more.
pub(crate) fn is_new(kept: Option<&DeadLetter>) -> bool {
    kept.is_none_or(|kept| kept.redriven_at.is_some())
}

/// Counts the letter if it is new, and says whose it is, as far as it can be read.
///
/// The broker delivers a letter again until it has our answer. Where the store's answer was lost, too, the line is the only
/// trace of it.
fn report(letter: &DeadLetter, is_new: bool, headers: &HeaderMap, body: &[u8]) {
    let event = envelope::read(headers, body).ok();
    let content = if event.is_some() {
        "order"
    } else {
        "unreadable"
    };
    if is_new {
        observe::DEAD_LETTERS.add(1, [&content]);
    }
    tracing::error!(
        dead_letter.id = letter.id,
        reason = letter.reason,
        dead_letter.again = !is_new,
        order.id = event.as_ref().map(|event| field::display(event.order_id)),
        spike.id = event.as_ref().map(|event| field::display(event.spike_id)),
        user.id = event.as_ref().map(|event| field::display(event.user_id)),
        "the queue gave up on an event"
    );
}

/// The letter's id and text. The same letter gets the same id, so that a second delivery of it changes nothing.
fn letter(headers: &HeaderMap, body: &[u8]) -> DeadLetter {
    let text = match envelope::read(headers, body) {
        Ok(event) => String::from_utf8_lossy(&envelope::write(&event)).into_owned(),
        Err(_) => as_it_came(headers, body),
    };
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let id = hash.as_ref().iter().fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    });
    DeadLetter {
        id,
        body: cut(text, KEPT_BYTES_MAX),
        reason: String::new(),
        received_at: domain::Timestamp::from_millis(0),
        redriven_at: None,
    }
}

fn as_it_came(headers: &HeaderMap, body: &[u8]) -> String {
    let mut text = String::new();
    for (name, value) in headers {
        if name.as_str().starts_with("ce-") {
            let value = String::from_utf8_lossy(value.as_bytes());
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&String::from_utf8_lossy(body));
    text
}

/// Why the queue gave up, as far as it says so.
fn reason(headers: &HeaderMap, body: &[u8]) -> String {
    let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
    let attributes: Value = serde_json::from_slice(body).unwrap_or_default();
    let extension = |name: &str| match &attributes[name] {
        Value::Null => header(&format!("ce-{name}")),
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let knative = || {
        let parts: Vec<String> = KNATIVE_REASON.into_iter().filter_map(extension).collect();
        (!parts.is_empty()).then(|| parts.join(": "))
    };
    let reason = header(REASON).or_else(knative);
    let reason = reason.unwrap_or_else(|| "the queue gave no reason".to_owned());
    cut(reason.replace(char::is_control, " "), REASON_BYTES_MAX)
}

/// The text's beginning, cut between two characters.
fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}
