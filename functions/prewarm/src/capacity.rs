//! The port [`Capacity`]: how many instances of a function are kept ready, and who says so.

#[cfg(feature = "aws")]
mod aws;
#[cfg(any(feature = "aws", feature = "knative"))]
mod https;
#[cfg(feature = "knative")]
mod knative;

use async_trait::async_trait;

#[cfg(feature = "aws")]
pub use aws::Aws;
#[cfg(any(feature = "aws", feature = "knative"))]
pub use https::TrustError;
#[cfg(feature = "knative")]
pub use knative::Knative;

/// How many instances of a function are kept ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// What the operator wants when we want nothing; `None` if they have not said.
    pub own: Option<u32>,
    /// What is in force.
    pub at: u32,
    /// More are refused; `None` if there is no such bound.
    pub at_most: Option<u32>,
    /// Whether it is noted there that we have changed it, to be undone.
    pub noted: bool,
    /// Which state of the platform's object this is; empty where it does not count them.
    pub version: String,
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is in force, or will be as soon as the instances are there.
    Done,
    /// Somebody else has changed it since it was read.
    Conflict,
}

/// Why capacity could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum CapacityError {
    /// There was no answer.
    #[error("the platform's API did not answer")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It asks for patience, or has a problem of its own.
    #[error("the platform's API is busy (status {0})")]
    Busy(u16),
    /// We are not who may do this: the credentials or the rights are wrong.
    #[error("the platform's API does not allow it (status {status}): {message}")]
    Denied {
        /// The status.
        status: u16,
        /// What the platform said.
        message: String,
    },
    /// The function is not deployed where it is looked for.
    #[error("the platform does not know the function: {0}")]
    Missing(String),
    /// It will not have this number, or does not understand us.
    #[error("the platform's API refused (status {status}): {message}")]
    Refused {
        /// The status.
        status: u16,
        /// What the platform said.
        message: String,
    },
    /// What came back is not what is documented.
    #[error("the platform's API answered something unreadable: {0}")]
    Unreadable(&'static str),
    /// Others changed the same thing each time.
    #[error("the function's capacity is being changed by others")]
    Contended,
    /// The credentials cannot be read or used.
    #[error("the credentials for the platform's API cannot be used")]
    Credentials(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where functions run, as far as the number of their instances goes.
#[async_trait]
pub trait Capacity: Send + Sync {
    /// What the function has now.
    async fn level(&self, function: &str) -> Result<Level, CapacityError>;
    /// Gives the function `to` instances, in one atomic step with the note of what there was before; without the note if
    /// `to` is what the operator wants. Only if nothing has changed since `seen`, where the platform can tell.
    async fn set(&self, function: &str, seen: &Level, to: u32) -> Result<Applied, CapacityError>;
}

#[cfg(any(feature = "aws", feature = "knative"))]
/// The error that a status stands for where no rule of an adapter comes first.
fn refusal(status: http::StatusCode, message: String) -> CapacityError {
    match status.as_u16() {
        status @ (401 | 403) => CapacityError::Denied { status, message },
        404 => CapacityError::Missing(message),
        status @ (408 | 429 | 500..) => CapacityError::Busy(status),
        status => CapacityError::Refused { status, message },
    }
}
