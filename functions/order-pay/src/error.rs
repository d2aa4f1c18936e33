//! Everything that a payment can be refused with.

use axum::response::{IntoResponse, Response};
use domain::order::Refund;
use payments::NoAnswer;
use runtime::{Code, Problem, problem};

/// Why an order is not paid.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such order, not the caller's, or not written yet: one answer for all.
    #[error("no such order")]
    NoOrder,
    /// It was cancelled, expired or rejected; with what is owed back if money came.
    #[error("ended")]
    Ended(Option<Refund>),
    /// The provider refused.
    #[error("declined")]
    Declined,
    /// Not a cursor of this listing.
    #[error("not a cursor")]
    Cursor,
    /// The provider did not answer; the call can be repeated.
    #[error("the payment provider did not answer")]
    Provider(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store did not answer; the call can be repeated.
    #[error("the store did not answer")]
    Store(#[source] store::Error),
    /// Something is kept that cannot be read: a defect, which asking again does not mend.
    #[error("a defect")]
    Internal(#[source] store::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Cursor => Self::Cursor,
            error @ store::Error::Unavailable(_) => Self::Store(error),
            error @ store::Error::Corrupt(_) => Self::Internal(error),
        }
    }
}

impl From<NoAnswer> for Error {
    fn from(NoAnswer(source): NoAnswer) -> Self {
        Self::Provider(source)
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        match error {
            Error::NoOrder => Self::new(Code::NoOrder).retry_after_secs(1),
            Error::Ended(None) => Self::new(Code::OrderEnded),
            Error::Ended(Some(refund)) => {
                let refund = serde_json::to_value(refund).unwrap_or_default();
                Self::new(Code::OrderEnded).with("refund", refund)
            }
            Error::Declined => Self::new(Code::PaymentDeclined),
            Error::Cursor => Self::new(Code::Malformed),
            Error::Provider(_) | Error::Store(_) => Self::new(Code::Unavailable),
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
