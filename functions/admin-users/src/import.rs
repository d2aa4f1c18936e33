//! `POST /admin/users/import`: NDJSON, one account a line.
//!
//! ```json
//! {"username": "ada", "password_hash": "$argon2id$v=19$m=19456,t=2,p=1$..", "attributes": {"age": 36}, "roles": []}
//! ```
//!
//! The body is read line by line and written in batches, so that memory does not grow with it. Lines of new names
//! create accounts; others amend: what a line gives is replaced, the rest stays. A bad line is reported and harms no
//! other. An import that breaks off can be sent again as a whole.

mod batch;
mod lines;

use auth::{Admin, Passwords};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
};
use domain::{Role, UserId, Username};
use runtime::extract::{Json, parse};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{AppState, Error, accounts};
use batch::Batch;
use lines::{Line, Lines};

/// How large a call may be.
pub(crate) const BODY_BYTES_MAX: u64 = 5 * 1024 * 1024;
/// How many lines a call may have: its answer names every account.
const LINES_MAX: u64 = 20_000;
/// How many bad lines are told one by one.
const FAILURES_MAX: usize = 1_000;

/// One line of an import.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "username": "ada", "attributes": {"age": 36}, "roles": [] }))]
pub struct Entry {
    /// Whose account: it is made if there is none.
    pub username: Username,
    /// An Argon2id hash as a PHC string, no weaker than 19 MiB, two passes, and at most twice the work of that. A new
    /// account without one cannot log in; `null` takes the account's away. A hash that is not the account's, and
    /// `null`, end its sessions: what was refreshed just before still lives for up to 15 minutes.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub password_hash: Option<Option<String>>,
    /// What access rules read; replaced as a whole.
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<Map<String, Value>>,
    /// What the account may do beyond buying; none that the caller does not have.
    pub roles: Option<Vec<Role>>,
    /// What the user is called.
    #[schema(min_length = 1, max_length = 80)]
    pub display_name: Option<String>,
}

/// Tells `null` from a field that is left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// An account that a line named.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Member {
    /// Its name.
    pub username: Username,
    /// Its id.
    pub user_id: UserId,
}

/// A line that was left out.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Failure {
    /// Its number, from 1; blank lines count.
    pub line: u64,
    /// What is wrong with it. Never quotes it.
    pub problem: String,
}

/// What an import did.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "created": 1, "amended": 0, "failed_total": 1, "failed": [{"line": 2, "problem": "not an entry of an import"}],
    "users": [{"username": "ada", "user_id": "01900000-0000-7000-8000-000000000000"}]
}))]
pub struct Imported {
    /// How many accounts were made.
    pub created: u64,
    /// How many lines amended one, or found it as they wanted it.
    pub amended: u64,
    /// How many lines were left out.
    pub failed_total: u64,
    /// The first thousand of them.
    pub failed: Vec<Failure>,
    /// The accounts of the good lines, in the order of their writing.
    pub users: Vec<Member>,
}

/// Why a line is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum BadLine {
    #[error("longer than 16 KiB")]
    TooLong,
    #[error("not an entry of an import")]
    Malformed,
    #[error("the password hash is not Argon2id, or weaker or dearer than is kept")]
    Hash,
    #[error("a role that you do not have")]
    Role,
    #[error("attributes of more than 4096 bytes, or nested more than four deep")]
    Attributes,
    #[error("a display name that is empty, too long or has control characters")]
    DisplayName,
    #[error("the account was changed by others meanwhile, again and again")]
    Contended,
}

/// Creates and amends accounts in bulk.
#[utoipa::path(
    post, path = "/admin/users/import", tag = "admin", operation_id = "import_users",
    request_body(
        content = Entry, content_type = "application/x-ndjson",
        description = "NDJSON: an entry a line, at most 16 KiB a line, 20,000 lines and 5 MiB a call.",
    ),
    security(("bearer" = [])),
    responses((status = 200, description = "What was done. Bad lines are told, and do no harm to others.", body = Imported)),
)]
pub(crate) async fn import(
    State(app): State<AppState>,
    Admin(caller): Admin,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Imported>, Error> {
    check_type(&headers)?;
    let mut lines = Lines::new(body);
    let mut batch = Batch::new(&app);
    let mut seen = 0;
    let broken = loop {
        let (number, line) = match lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) => break None,
            Err(error) => break Some(Error::Body(error)),
        };
        seen += 1;
        if seen > LINES_MAX {
            break Some(Error::Lines);
        }
        match entry(line, &caller.roles) {
            Ok(entry) => batch.add(number, entry).await?,
            Err(bad) => batch.fail(number, bad),
        }
    };
    // However it ends, the lines before are imported.
    let imported = batch.finish().await?;
    let (created, amended, failed) = (imported.created, imported.amended, imported.failed_total);
    tracing::info!(created, amended, failed, caller.id = %caller.user_id, "accounts imported");
    broken.map_or(Ok(Json(imported)), Err)
}

fn check_type(headers: &HeaderMap) -> Result<(), Error> {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|text| text.split(';').next())
        .unwrap_or_default();
    let is_ndjson = essence.trim().eq_ignore_ascii_case("application/x-ndjson");
    if is_ndjson {
        Ok(())
    } else {
        Err(Error::MediaType)
    }
}

/// Reads and checks one line.
fn entry(line: Line, callers: &[Role]) -> Result<Entry, BadLine> {
    let Line::Whole(text) = line else {
        return Err(BadLine::TooLong);
    };
    let mut entry: Entry = parse(&text).map_err(|_| BadLine::Malformed)?;
    let hash = entry.password_hash.as_ref().and_then(Option::as_deref);
    if hash.is_some_and(|hash| !Passwords::acceptable(hash)) {
        return Err(BadLine::Hash);
    }
    if entry
        .attributes
        .as_ref()
        .is_some_and(|attributes| accounts::check(attributes, None).is_err())
    {
        return Err(BadLine::Attributes);
    }
    if accounts::check(&Map::new(), entry.display_name.as_deref()).is_err() {
        return Err(BadLine::DisplayName);
    }
    if let Some(roles) = entry.roles.take() {
        entry.roles = Some(accounts::granted(roles, callers).map_err(|_| BadLine::Role)?);
    }
    Ok(entry)
}

#[cfg(test)]
mod tests;
