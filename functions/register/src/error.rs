//! Everything that a registration can be refused with.

use auth::{WeakPassword, passwords};
use axum::response::{IntoResponse, Response};
use runtime::{Code, Problem, problem};

/// Why no account was opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody has the name.
    #[error("the username is taken")]
    UsernameTaken,
    /// The password is not good enough.
    #[error("the password is weak")]
    WeakPassword(#[from] WeakPassword),
    /// Too many passwords are waiting to be hashed.
    #[error("busy")]
    Busy,
    /// The store did not answer. The account may have been opened: a repetition would say that the name is taken.
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

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        match error {
            Error::UsernameTaken => Self::new(Code::UsernameTaken),
            Error::WeakPassword(weak) => Self::new(Code::WeakPassword).detail(sentence(*weak)),
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

/// What the person who chose the password reads.
fn sentence(weak: WeakPassword) -> &'static str {
    match weak {
        WeakPassword::TooShort => "The password has fewer than 8 characters.",
        WeakPassword::TooLong => "The password has more than 128 characters.",
        WeakPassword::Common => "The password is one of the most widely used.",
        WeakPassword::IsUsername => "The password is the user name.",
    }
}
