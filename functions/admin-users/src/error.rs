//! Everything that can go wrong with accounts.

use axum::response::{IntoResponse, Response};
use runtime::{Code, Problem};

/// Why nothing was listed or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such account.
    #[error("no such user")]
    Unknown,
    /// Not a cursor of this listing.
    #[error("not a cursor")]
    Cursor,
    /// The account has another version by now.
    #[error("the account was changed by somebody else")]
    Mismatch,
    /// A value that no account may have.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field's name in JSON.
        field: &'static str,
        /// What it must be.
        problem: &'static str,
    },
    /// The caller would give a role that they do not have.
    #[error("a role above the caller's")]
    Role,
    /// The import's body is not NDJSON by its type.
    #[error("not NDJSON")]
    MediaType,
    /// The import has too many lines; those before are imported.
    #[error("too many lines")]
    Lines,
    /// The import's body is too large, too slow, or broke off; the lines before are imported.
    #[error("the body could not be read")]
    Body(#[source] axum::Error),
    /// The store does not answer; the call can be repeated.
    #[error("the store did not answer")]
    Store(#[source] store::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Cursor => Self::Cursor,
            error @ (store::Error::Unavailable(_) | store::Error::Corrupt(_)) => Self::Store(error),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unknown => Self::new(Code::NoUser),
            Error::Cursor => Self::new(Code::Malformed),
            Error::Mismatch => Self::new(Code::VersionMismatch),
            Error::Invalid { field, problem } => Self::new(Code::InvalidSetting)
                .detail(format!("{field}: {problem}"))
                .with("field", field),
            Error::Role => {
                Self::new(Code::Forbidden).detail("Nobody can give a role that they do not have.")
            }
            Error::MediaType => {
                Self::new(Code::UnsupportedMediaType).detail("Send application/x-ndjson.")
            }
            Error::Lines => Self::new(Code::TooLarge)
                .detail("An import has at most 20000 lines. Those before are imported."),
            Error::Body(error) => runtime::limit::problem(error),
            Error::Store(error) => {
                let away = matches!(error, store::Error::Unavailable(_));
                let problem = Self::new(if away {
                    Code::Unavailable
                } else {
                    Code::Internal
                });
                runtime::problem::log(&error, &problem);
                problem
            }
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
