//! Everything that the question for access can be refused with.

use axum::response::{IntoResponse, Response};
use runtime::{Code, Problem, problem};

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such spike.
    #[error("no such spike")]
    NoSpike,
    /// The store did not answer.
    #[error("a dependency did not answer")]
    Unavailable(#[from] sale::Error),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let problem = match &self {
            Self::NoSpike => Problem::new(Code::NoSpike),
            Self::Unavailable(_) => Problem::new(Code::Unavailable),
        };
        problem::log(&self, &problem);
        problem.into_response()
    }
}
