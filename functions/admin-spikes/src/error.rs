//! Everything that can go wrong with steering a spike.

use std::sync::Arc;

use access::BadRule;
use axum::response::{IntoResponse, Response};
use domain::spike::InvalidSetting;
use runtime::{Code, Problem};

/// Why nothing was shown or changed, or why a change is not in force yet.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such spike.
    #[error("no such spike")]
    Unknown,
    /// Not a cursor of this listing.
    #[error("not a cursor")]
    Cursor,
    /// The spike has another version by now.
    #[error("the spike was changed by somebody else")]
    Mismatch,
    /// It can only be done before the start.
    #[error("the spike has started")]
    Started,
    /// It can only be done before the end.
    #[error("the spike has ended")]
    Ended,
    /// A setting that no spike may have.
    #[error("an invalid setting")]
    Setting(#[source] InvalidSetting),
    /// A rule that no spike may have.
    #[error("a bad access rule")]
    Rule(#[source] BadRule),
    /// Somebody else is loading the sale into Redis, and takes long. The change is kept.
    #[error("the sale is being loaded")]
    Loading,
    /// The store does not answer; the call can be repeated.
    #[error("the store did not answer")]
    Store(#[source] Arc<store::Error>),
    /// Redis does not answer. What was changed is kept, and the sweeper brings it to Redis.
    #[error("the stock did not answer")]
    Stock(#[source] Arc<stock::Error>),
}

impl From<InvalidSetting> for Error {
    fn from(error: InvalidSetting) -> Self {
        Self::Setting(error)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Cursor => Self::Cursor,
            error @ (store::Error::Unavailable(_) | store::Error::Corrupt(_)) => {
                Self::Store(Arc::new(error))
            }
        }
    }
}

impl From<stock::Error> for Error {
    fn from(error: stock::Error) -> Self {
        Self::Stock(Arc::new(error))
    }
}

impl From<sale::Error> for Error {
    fn from(error: sale::Error) -> Self {
        match error {
            sale::Error::Store(error) => Self::Store(error),
            sale::Error::Stock(error) => Self::Stock(error),
        }
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let away = |away| {
            Self::new(if away {
                Code::Unavailable
            } else {
                Code::Internal
            })
        };
        match error {
            Error::Unknown => Self::new(Code::NoSpike),
            Error::Cursor => Self::new(Code::Malformed),
            Error::Mismatch => Self::new(Code::VersionMismatch),
            Error::Started => Self::new(Code::SpikeStarted),
            Error::Ended => Self::new(Code::SpikeEnded),
            Error::Setting(invalid) => Self::new(Code::InvalidSetting)
                .detail(format!("{}: {}", invalid.field, invalid.problem))
                .with("field", invalid.field),
            Error::Rule(bad) => Self::new(Code::BadRule)
                .detail(format!("The rule {}.", bad.problem))
                .with("rule", bad.name.as_str()),
            Error::Loading => Self::new(Code::Loading),
            Error::Store(error) => away(matches!(**error, store::Error::Unavailable(_))),
            Error::Stock(error) => away(!matches!(**error, stock::Error::Unreadable(_))),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let problem = Problem::from(&self);
        runtime::problem::log(&self, &problem);
        problem.into_response()
    }
}
