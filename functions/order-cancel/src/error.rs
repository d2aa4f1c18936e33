//! Everything that a cancellation can be refused with.

use axum::response::{IntoResponse, Response};
use runtime::{Code, Problem, problem};

/// Why an order is not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such order, not the caller's, or not written yet: one answer for all.
    #[error("no such order")]
    NoOrder,
    /// It is paid.
    #[error("paid")]
    Paid,
    /// It has expired or was rejected.
    #[error("ended")]
    Ended,
    /// The store did not answer, and the call can be repeated; or it holds what cannot be read.
    #[error("the store did not answer")]
    Dependency(#[from] sale::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Dependency(error.into())
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        match error {
            Error::NoOrder => Self::new(Code::NoOrder).retry_after_secs(1),
            Error::Paid => Self::new(Code::OrderPaid),
            Error::Ended => Self::new(Code::OrderEnded),
            Error::Dependency(error) if error.is_defect() => Self::new(Code::Internal),
            Error::Dependency(_) => Self::new(Code::Unavailable),
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
