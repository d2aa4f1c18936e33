//! Why a run did not happen.

use axum::response::{IntoResponse, Response};
use runtime::problem::{Code, Problem};

/// Why a run did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store did not list the spikes.
    #[error("the store did not list the spikes")]
    Store(#[from] store::Error),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let problem = match &self {
            Self::Store(_) => Problem::new(Code::Unavailable),
        };
        runtime::problem::log(&self, &problem);
        problem.into_response()
    }
}
