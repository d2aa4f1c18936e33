//! Everything that a question for orders can be refused with.

use axum::response::{IntoResponse, Response};
use runtime::{Code, Problem, problem};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such order, or not the caller's: one answer for both.
    #[error("no such order")]
    NoOrder {
        /// Whether it may yet appear, so that asking again in a second makes sense.
        may_come: bool,
    },
    /// Not a cursor of this listing.
    #[error("not a cursor")]
    Cursor,
    /// The store did not answer.
    #[error("the store did not answer")]
    Store(#[source] store::Error),
    /// Redis did not answer, so nobody knows whether an order is queued.
    #[error("the stock did not answer")]
    Stock(#[source] stock::Error),
    /// Something is kept that cannot be read: a defect, which asking again does not mend.
    #[error("a defect")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Cursor => Self::Cursor,
            error @ store::Error::Unavailable(_) => Self::Store(error),
            error @ store::Error::Corrupt(_) => Self::Internal(error.into()),
        }
    }
}

impl From<stock::Error> for Error {
    fn from(error: stock::Error) -> Self {
        match error {
            stock::Error::Unavailable(_) | stock::Error::OutOfMemory => Self::Stock(error),
            stock::Error::Unreadable(_) => Self::Internal(error.into()),
        }
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        match error {
            Error::NoOrder { may_come: true } => Self::new(Code::NoOrder).retry_after_secs(1),
            Error::NoOrder { may_come: false } => Self::new(Code::NoOrder),
            Error::Cursor => Self::new(Code::Malformed),
            Error::Store(_) | Error::Stock(_) => Self::new(Code::Unavailable),
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
