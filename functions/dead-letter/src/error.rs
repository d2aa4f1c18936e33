//! Everything that can go wrong with a dead letter.

use axum::response::{IntoResponse, Response};
use events::{EnvelopeError, SendError};
use runtime::{Code, Problem};

/// Why nothing was kept, listed or sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such letter.
    #[error("no such dead letter")]
    Unknown,
    /// The letter is not an event of ours, so nobody would take it.
    #[error("the dead letter is not an event that can be sent again")]
    NotAnEvent(#[source] EnvelopeError),
    /// Not a cursor of this listing.
    #[error("not a cursor")]
    Cursor,
    /// The broker did not acknowledge the event; the letter stays.
    #[error("the broker did not acknowledge the event")]
    Send(#[source] SendError),
    /// The store did not answer; the call can be repeated.
    #[error("the store did not answer")]
    Store(#[source] store::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Cursor => Self::Cursor,
            error @ (store::Error::Unavailable(_) | store::Error::Corrupt(_)) => Self::Store(error),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unknown => Self::new(Code::NoDeadLetter),
            Error::NotAnEvent(_) => Self::new(Code::NotRedrivable),
            Error::Cursor => Self::new(Code::Malformed),
            Error::Send(_) | Error::Store(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "dead letter");
                Self::new(Code::Unavailable)
            }
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
