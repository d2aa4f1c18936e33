//! `GET /admin/dead-letters` and `POST /admin/dead-letters/{id}/redrive`.

use auth::Admin;
use axum::{extract::State, http::StatusCode};
use domain::{OrderId, Timestamp};
use events::envelope;
use runtime::extract::{Json, Path, Query};
use serde::{Deserialize, Serialize};
use store::DeadLetter;

use crate::{AppState, Error};

const LETTERS_PER_PAGE: u32 = 20;
/// What a listing shows of a letter's body.
const SHOWN_BYTES_MAX: usize = 4096;

/// Which part of a listing.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// The `next` of the part before; without it the listing starts at its beginning.
    cursor: Option<String>,
}

/// Something that the queue gave up on.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "body": "{\"specversion\":\"1.0\",\"type\":\"spike.order.placed.v1\"}",
    "body_bytes": 53,
    "reason": "answered 400 (bad-event)",
    "received_at": "2026-11-22T10:00:00.000Z",
    "redriven_at": null
}))]
pub struct DeadLetterView {
    /// Derived from what arrived: the same letter has the same id.
    pub id: String,
    /// The beginning of what arrived, as text, at most 4 KiB of it.
    pub body: String,
    /// How much is kept, in bytes.
    pub body_bytes: usize,
    /// Why the queue gave up, as far as it said.
    pub reason: String,
    /// When it came to rest for the first time.
    pub received_at: Timestamp,
    /// When it was last sent again; null if it has come back since.
    pub redriven_at: Option<Timestamp>,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        let shown = letter.body.floor_char_boundary(SHOWN_BYTES_MAX);
        Self {
            body_bytes: letter.body.len(),
            body: letter.body[..shown].to_owned(),
            id: letter.id,
            reason: letter.reason,
            received_at: letter.received_at,
            redriven_at: letter.redriven_at,
        }
    }
}

/// A part of the dead letters.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({ "dead_letters": [], "next": null }))]
pub struct DeadLetterList {
    /// Newest first; at most twenty.
    pub dead_letters: Vec<DeadLetterView>,
    /// The cursor of the next part, if there is one.
    pub next: Option<String>,
}

/// A letter that is on its way again.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "order_id": "01900000-0000-7000-8000-000000000000",
    "redriven_at": "2026-11-22T10:05:00.000Z"
}))]
pub struct Redriven {
    /// The letter, which stays in the list.
    pub id: String,
    /// The order that the event is about.
    pub order_id: OrderId,
    /// When it was sent.
    pub redriven_at: Timestamp,
}

/// Lists what the queue gave up on, newest first.
#[utoipa::path(
    get, path = "/admin/dead-letters", tag = "admin", operation_id = "list_dead_letters",
    params(Part), security(("bearer" = [])),
    responses((status = 200, description = "A part of the dead letters.", body = DeadLetterList)),
)]
pub(crate) async fn list(
    State(app): State<AppState>,
    _admin: Admin,
    Query(part): Query<Part>,
) -> Result<Json<DeadLetterList>, Error> {
    let cursor = part.cursor.as_deref();
    let page = app
        .store
        .dead_letters_page(cursor, LETTERS_PER_PAGE)
        .await?;
    Ok(Json(DeadLetterList {
        dead_letters: page.items.into_iter().map(Into::into).collect(),
        next: page.next,
    }))
}

/// Sends a dead letter's event again.
///
/// The letter stays in the list, with the time of its sending, which goes again if the letter comes back. Sending it twice
/// is harmless: an order is written once.
#[utoipa::path(
    post, path = "/admin/dead-letters/{id}/redrive", tag = "admin", operation_id = "redrive_dead_letter",
    params(("id" = String, Path, description = "The letter's id.")), security(("bearer" = [])),
    responses((status = 202, description = "The broker has the event again.", body = Redriven)),
)]
pub(crate) async fn redrive(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Redriven>), Error> {
    let letter = app.store.dead_letter(&id).await?.ok_or(Error::Unknown)?;
    let event = envelope::read_structured(letter.body.as_bytes()).map_err(Error::NotAnEvent)?;
    // Before it is sent: should it come back at once, it has come back since.
    let redriven_at = (app.clock)();
    for answer in app.sink.send(std::slice::from_ref(&event)).await {
        answer.map_err(Error::Send)?;
    }
    failpoint::pass("dead-letter.sent");
    app.store.mark_redriven(&id, redriven_at).await?;
    let order_id = event.order_id;
    tracing::info!(dead_letter.id = id, order.id = %order_id, caller.id = %caller.user_id, "dead letter sent again");
    Ok((
        StatusCode::ACCEPTED,
        Json(Redriven {
            id,
            order_id,
            redriven_at,
        }),
    ))
}
