//! `POST /users`.

use auth::Passwords;
use axum::{extract::State, http::StatusCode};
use domain::{User, UserId, Username};
use runtime::extract::Json;
use serde::{Deserialize, Serialize};

use crate::{AppState, Error};

/// Who wants an account. Other members, `roles` and `attributes` above all, are refused.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    /// The name to log in with. Capital letters are made small.
    username: Username,
    /// 8 to 128 characters; neither the username nor a widely used password.
    #[schema(min_length = 8, max_length = 128, example = "difference engine")]
    password: String,
    /// What the user wants to be called.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 80, example = "Ada Lovelace")]
    display_name: Option<DisplayName>,
}

/// 1 to 80 characters without line breaks and other control characters.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct DisplayName(String);

impl TryFrom<String> for DisplayName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if domain::user::is_display_name(&text) {
            Ok(Self(text))
        } else {
            Err("not a display name")
        }
    }
}

/// The account.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Registered {
    /// Its id.
    user_id: UserId,
    /// Its name as it is kept.
    username: Username,
}

/// Opens an account, which can log in at once.
#[utoipa::path(
    post,
    path = "/users",
    tag = "accounts",
    request_body(
        content = Registration,
        example = json!({"username": "ada", "password": "difference engine", "display_name": "Ada Lovelace"}),
    ),
    responses((
        status = 201,
        description = "The account is open.",
        body = Registered,
        example = json!({"user_id": "01900000-0000-7000-8000-000000000000", "username": "ada"}),
    )),
)]
pub(crate) async fn register(
    State(app): State<AppState>,
    Json(registration): Json<Registration>,
) -> Result<(StatusCode, Json<Registered>), Error> {
    let Registration {
        username,
        password,
        display_name,
    } = registration;
    Passwords::check(&password, &username)?;
    let password_hash = app.passwords.hash(&password).await?;
    let now = (app.clock)();
    let user = User {
        id: UserId::mint(now, auth::random()),
        username,
        password_hash: Some(password_hash),
        credentials_version: 1,
        display_name: display_name.map(|name| name.0),
        attributes: serde_json::Map::new(),
        roles: Vec::new(),
        version: 1,
        created_at: now,
    };
    let added = app.store.add_users(std::slice::from_ref(&user)).await?;
    if added != [true] {
        return Err(Error::UsernameTaken);
    }
    Ok((
        StatusCode::CREATED,
        Json(Registered {
            user_id: user.id,
            username: user.username,
        }),
    ))
}
