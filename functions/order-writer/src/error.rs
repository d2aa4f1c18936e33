//! Why an event was not written.

use axum::response::{IntoResponse, Response};
use domain::SpikeId;
use events::envelope::EnvelopeError;
use runtime::problem::{Code, Problem};

/// Why an event was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What arrived is not an event of ours.
    #[error("not an event of this system")]
    Event(#[from] EnvelopeError),
    /// The event names a spike that does not exist.
    #[error("unknown spike {0}")]
    UnknownSpike(SpikeId),
    /// The store or Redis gave no answer.
    #[error("a dependency is away")]
    Dependency(#[from] sale::Error),
    /// Redis has no sale to take another unit from, and somebody else is loading it.
    #[error("the sale is being loaded")]
    Loading,
    /// Every unit tried in this delivery was another's.
    #[error("units kept being another's")]
    Contended,
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Dependency(error.into())
    }
}

impl From<stock::Error> for Error {
    fn from(error: stock::Error) -> Self {
        Self::Dependency(error.into())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let problem = match &self {
            Self::Event(_) => Problem::new(Code::BadEvent).detail("Not an event of this system."),
            Self::UnknownSpike(_) => Problem::new(Code::BadEvent).detail("The spike is unknown."),
            Self::Dependency(_) => Problem::new(Code::Unavailable),
            Self::Loading => Problem::new(Code::Loading),
            Self::Contended => Problem::new(Code::Busy),
        };
        runtime::problem::log(&self, &problem);
        problem.into_response()
    }
}
