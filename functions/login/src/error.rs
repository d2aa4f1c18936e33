//! Everything that a login can be refused with.

use auth::{KeyError, passwords};
use axum::response::{IntoResponse, Response};
use runtime::{Code, Problem, problem};

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No account has this name and this password together.
    #[error("no such name and password")]
    BadCredentials,
    /// The name has failed too often and has to wait.
    #[error("too many failures")]
    SlowDown {
        /// How long.
        wait_secs: u64,
    },
    /// Too many passwords are waiting to be compared.
    #[error("busy")]
    Busy,
    /// The store did not answer.
    #[error("the store did not answer")]
    Unavailable(#[source] store::Error),
    /// A defect.
    #[error("a defect")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<passwords::Error> for Error {
    fn from(error: passwords::Error) -> Self {
        match error {
            passwords::Error::Busy => Self::Busy,
            passwords::Error::Failed => Self::Internal(error.into()),
        }
    }
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
            Error::BadCredentials => Self::new(Code::BadCredentials),
            Error::SlowDown { wait_secs } => Self::new(Code::SlowDown).retry_after_secs(*wait_secs),
            Error::Busy => Self::new(Code::Busy),
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
