//! Everything that a refresh or a logout can be refused with.

use auth::KeyError;
use axum::response::{IntoResponse, Response};
use runtime::{Code, Problem, problem};

/// Why a session was neither prolonged nor ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token is unknown, expired, spent or revoked, or its account is gone or has another password: one answer for all.
    #[error("not a valid refresh token")]
    BadRefreshToken,
    /// The store did not answer.
    #[error("the store did not answer")]
    Unavailable(#[source] store::Error),
    /// A defect.
    #[error("a defect")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unavailable(_) => Self::Unavailable(error),
            store::Error::Corrupt(_) | store::Error::Cursor => Self::Internal(error.into()),
        }
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        match error {
            Error::BadRefreshToken => Self::new(Code::BadRefreshToken),
            Error::Unavailable(_) => Self::new(Code::Unavailable),
            Error::Internal(_) => Self::new(Code::Internal),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let problem = Problem::from(&self);
        problem::log(&self, &problem);
        problem.into_response()
    }
}
