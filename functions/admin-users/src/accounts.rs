//! `GET /admin/users`, `GET` and `PUT /admin/users/{user_id}`.

use auth::Admin;
use axum::{extract::State, response::IntoResponse};
use domain::{Role, Timestamp, User, UserId, Username};
use runtime::extract::{IfMatch, Json, Path, Query, etag};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AppState, Error};

const USERS_PER_PAGE: u32 = 50;

/// Which accounts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// The `next` of the part before; without it the listing starts at its beginning.
    cursor: Option<String>,
    /// Only the account of this name.
    #[param(value_type = Option<String>)]
    username: Option<Username>,
}

/// An account, without what only its owner may know.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "user_id": "01900000-0000-7000-8000-000000000000", "version": 3, "username": "ada", "display_name": "Ada Lovelace",
    "attributes": {"age": 36}, "roles": [], "can_log_in": true, "created_at": "2026-11-22T10:00:00.000Z"
}))]
pub struct UserView {
    /// Its id.
    pub user_id: UserId,
    /// Raised by every change; its `ETag`.
    pub version: u64,
    /// Its name.
    pub username: Username,
    /// What the user wants to be called.
    pub display_name: Option<String>,
    /// What access rules read as `user.attributes`.
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    /// What the account may do beyond buying.
    pub roles: Vec<Role>,
    /// Whether it has a password.
    pub can_log_in: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            user_id: user.id,
            version: user.version,
            username: user.username,
            display_name: user.display_name,
            attributes: user.attributes,
            roles: user.roles,
            can_log_in: user.password_hash.is_some(),
            created_at: user.created_at,
        }
    }
}

/// A part of the accounts.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({ "users": [], "next": null }))]
pub struct UserList {
    /// At most fifty.
    pub users: Vec<UserView>,
    /// The cursor of the next part, if there is one.
    pub next: Option<String>,
}

/// What an account is to have: all of it, as a whole.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "attributes": {"age": 36}, "roles": [], "display_name": "Ada Lovelace" }))]
pub struct Change {
    /// What access rules read: at most 4096 bytes, nested at most four deep.
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    /// What the account may do beyond buying; none that the caller does not have.
    pub roles: Vec<Role>,
    /// What the user is called; left out or null, they have no such name.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 80)]
    pub display_name: Option<String>,
}

/// Lists accounts, or finds one by its name.
#[utoipa::path(
    get, path = "/admin/users", tag = "admin", operation_id = "list_users",
    params(Part), security(("bearer" = [])),
    responses((status = 200, description = "A part of the accounts; of one name, one or none.", body = UserList)),
)]
pub(crate) async fn list(
    State(app): State<AppState>,
    _admin: Admin,
    Query(part): Query<Part>,
) -> Result<Json<UserList>, Error> {
    if let Some(username) = part.username {
        let found = app.store.users_by_name(&[username]).await?;
        let users = found.into_iter().flatten().map(Into::into).collect();
        return Ok(Json(UserList { users, next: None }));
    }
    let page = app
        .store
        .users_page(part.cursor.as_deref(), USERS_PER_PAGE)
        .await?;
    Ok(Json(UserList {
        users: page.items.into_iter().map(Into::into).collect(),
        next: page.next,
    }))
}

/// Shows an account.
#[utoipa::path(
    get, path = "/admin/users/{user_id}", tag = "admin", operation_id = "read_user",
    params(("user_id" = UserId, Path, description = "The account.")), security(("bearer" = [])),
    responses((
        status = 200, description = "The account.", body = UserView,
        headers(("ETag" = String, description = "The version, for `If-Match`.")),
    )),
)]
pub(crate) async fn read(
    State(app): State<AppState>,
    _admin: Admin,
    Path(user_id): Path<UserId>,
) -> Result<impl IntoResponse, Error> {
    let user = app.store.user(user_id).await?.ok_or(Error::Unknown)?;
    Ok((etag(user.version), Json(UserView::from(user))))
}

/// Replaces what the operator knows of a user. A change of roles shows in access tokens made from then on.
#[utoipa::path(
    put, path = "/admin/users/{user_id}", tag = "admin", operation_id = "replace_user",
    params(
        ("user_id" = UserId, Path, description = "The account."),
        ("If-Match" = String, Header, description = "The `ETag` of what was read."),
    ),
    request_body = Change, security(("bearer" = [])),
    responses((
        status = 200, description = "The account as it is now.", body = UserView,
        headers(("ETag" = String, description = "The new version.")),
    )),
)]
pub(crate) async fn replace(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(user_id): Path<UserId>,
    IfMatch(version): IfMatch,
    Json(change): Json<Change>,
) -> Result<impl IntoResponse, Error> {
    check(&change.attributes, change.display_name.as_deref())?;
    let roles = granted(change.roles, &caller.roles)?;
    let user = app.store.user(user_id).await?.ok_or(Error::Unknown)?;
    if user.version != version {
        return Err(Error::Mismatch);
    }
    let Change {
        attributes,
        display_name,
        ..
    } = change;
    let user = User {
        attributes,
        roles,
        display_name,
        version: version + 1,
        ..user
    };
    if !app.store.replace_user(&user).await? {
        return Err(Error::Mismatch);
    }
    tracing::info!(user.id = %user_id, caller.id = %caller.user_id, "account changed");
    Ok((etag(user.version), Json(UserView::from(user))))
}

/// Checks what does not follow from the types.
pub(crate) fn check(
    attributes: &Map<String, Value>,
    display_name: Option<&str>,
) -> Result<(), Error> {
    let invalid = |field, problem| Error::Invalid { field, problem };
    domain::user::check_attributes(attributes)
        .map_err(|_| invalid("attributes", "at most 4096 bytes, nested at most four deep"))?;
    if display_name.is_none_or(domain::user::is_display_name) {
        Ok(())
    } else {
        Err(invalid(
            "display_name",
            "1 to 80 characters without control characters",
        ))
    }
}

/// The roles, each once, if the caller has them all.
pub(crate) fn granted(mut roles: Vec<Role>, callers: &[Role]) -> Result<Vec<Role>, Error> {
    roles.sort_unstable();
    roles.dedup();
    if roles.iter().all(|role| callers.contains(role)) {
        Ok(roles)
    } else {
        Err(Error::Role)
    }
}
