//! Why a run did not finish.

use axum::response::{IntoResponse, Response};
use runtime::problem::{Code, Problem};

use crate::capacity::CapacityError;

/// Why a run did not finish. The next run starts anew.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store did not list the spikes, or did not say whether one is sold out.
    #[error("the store did not tell the calendar")]
    Store(#[from] store::Error),
    /// A function's capacity could not be read or changed. The other functions were seen to all the same.
    #[error("the capacity of {function} is not seen to")]
    Capacity {
        /// Which function.
        function: &'static str,
        /// Why.
        #[source]
        source: CapacityError,
    },
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let code = match &self {
            Self::Store(_) => Code::Unavailable,
            Self::Capacity { source, .. } => match source {
                CapacityError::Away(_) | CapacityError::Busy(_) | CapacityError::Contended => {
                    Code::Unavailable
                }
                // Waiting helps nobody here: rights, names or bounds have to be put right.
                CapacityError::Denied { .. }
                | CapacityError::Missing(_)
                | CapacityError::Refused { .. }
                | CapacityError::Unreadable(_)
                | CapacityError::Credentials(_) => Code::Internal,
            },
        };
        let problem = Problem::new(code);
        runtime::problem::log(&self, &problem);
        problem.into_response()
    }
}
