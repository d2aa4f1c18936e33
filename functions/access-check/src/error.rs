//! Everything that the question for access can be refused with.

use axum::response::{IntoResponse, Response};
use runtime::{Code, Problem, problem};

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such spike.
    #[error("no such spike")]
    NoSpike,
    /// The store or Redis did not answer, or holds what cannot be read.
    #[error("a dependency did not answer")]
    Dependency(#[from] sale::Error),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let problem = match &self {
            Self::NoSpike => Problem::new(Code::NoSpike),
            Self::Dependency(error) if error.is_defect() => Problem::new(Code::Internal),
            Self::Dependency(_) => Problem::new(Code::Unavailable),
        };
        problem::log(&self, &problem);
        problem.into_response()
    }
}
