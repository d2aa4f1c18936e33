//! Everything that a path token can be refused with.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use runtime::{Code, Problem, problem};

/// A client that waits for the start asks again at least this often, so that an earlier start is not slept through.
const LONGEST_WAIT_SECS: u64 = 30;

/// Why there is no token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no such spike.
    #[error("no such spike")]
    NoSpike,
    /// The sale has not opened.
    #[error("opens in {ms} ms")]
    TooEarly {
        /// Time to the start, by Redis' clock.
        ms: u64,
    },
    /// The sale is over.
    #[error("ended")]
    Ended,
    /// Redis does not have the sale, and may not have all that there are.
    #[error("not loaded")]
    Loading,
    /// Redis did not answer, or holds what cannot be read.
    #[error("the stock did not answer")]
    Stock(#[source] Arc<stock::Error>),
}

impl From<stock::Error> for Error {
    fn from(error: stock::Error) -> Self {
        Self::Stock(Arc::new(error))
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        match error {
            Error::NoSpike => Self::new(Code::NoSpike),
            Error::TooEarly { ms } => {
                let secs = ms.div_ceil(1_000).clamp(1, LONGEST_WAIT_SECS);
                Self::new(Code::TooEarly).retry_after_secs(secs)
            }
            Error::Ended => Self::new(Code::Ended),
            Error::Loading => Self::new(Code::Loading),
            Error::Stock(error) => Self::new(match **error {
                stock::Error::Unavailable(_) | stock::Error::OutOfMemory => Code::Unavailable,
                stock::Error::Unreadable(_) => Code::Internal,
            }),
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
