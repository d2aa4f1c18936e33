//! Everything that a look at the spikes can be refused with.

use axum::response::{IntoResponse, Response};
use runtime::{Code, Problem, problem};

/// Why there is nothing to see.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no such spike.
    #[error("no such spike")]
    NoSpike,
    /// The store did not answer, or holds what cannot be read.
    #[error("the store did not answer")]
    Dependency(#[from] sale::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Dependency(error.into())
    }
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
