//! Everything that a purchase can be refused with.

use auth::Unauthorized;
use domain::SpikeId;
use runtime::{Code, Problem};

use crate::{reserve::wait_secs, sales::Miss};

/// Why a purchase was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Path, header or body are not what the route takes; the problem says which.
    #[error("the request cannot be read")]
    Request(Problem),
    /// No valid access token.
    #[error("no valid access token")]
    Unauthorized,
    /// No such spike, or not a token of this user for it: one answer for both.
    #[error("no such spike or token")]
    BadToken,
    /// More tries a second than the user has.
    #[error("too many tries")]
    SlowDown,
    /// More buyers than this instance lets through, or too many look-ups of unknown ids.
    #[error("too many buyers at once")]
    Busy,
    /// The quantity is 0, or more than one user may buy.
    #[error("quantity over the limit of {limit}")]
    OverLimit {
        /// The most that one user may buy.
        limit: u32,
    },
    /// Nothing is left.
    #[error("sold out")]
    SoldOut,
    /// Fewer units are left than were asked for.
    #[error("only {left} left")]
    NotEnough {
        /// How many are left.
        left: u32,
    },
    /// The sale has not opened.
    #[error("opens in {ms} ms")]
    TooEarly {
        /// Time to the start, by Redis' clock.
        ms: u64,
    },
    /// An admin has paused the sale.
    #[error("paused")]
    Paused,
    /// The sale is over.
    #[error("ended")]
    Ended,
    /// The spike's access rules do not admit the user.
    #[error("denied: {0}")]
    Denied(String),
    /// Redis is being brought back in step with the store.
    #[error("healing")]
    Healing,
    /// The sale is being loaded into Redis.
    #[error("loading")]
    Loading,
    /// The units are reserved, but the broker has not acknowledged the event.
    #[error("reserved, not acknowledged")]
    Unconfirmed,
    /// Redis or the store did not answer, or holds what cannot be read.
    #[error("a dependency did not answer")]
    Dependency(#[from] sale::Error),
}

impl From<stock::Error> for Error {
    fn from(error: stock::Error) -> Self {
        Self::Dependency(error.into())
    }
}

impl From<Unauthorized> for Error {
    fn from(_: Unauthorized) -> Self {
        Self::Unauthorized
    }
}

impl From<Miss> for Error {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Unknown => Self::BadToken,
            Miss::Busy => Self::Busy,
            Miss::Failed(error) => Self::Dependency(error),
        }
    }
}

impl Error {
    /// Whether everybody who has no reservation would get the same answer now.
    pub(crate) fn holds_for_everybody(&self) -> bool {
        matches!(self, Self::SoldOut | Self::Paused | Self::Ended)
    }

    /// The answer. Where an earlier try may have won, it says where the order would be.
    pub(crate) fn problem(&self, spike_id: SpikeId) -> Problem {
        let order = || crate::order_location(spike_id);
        match self {
            Self::Request(problem) => problem.clone(),
            Self::Unauthorized => Unauthorized.into(),
            Self::BadToken => Problem::new(Code::BadToken),
            Self::SlowDown => Problem::new(Code::SlowDown),
            Self::Busy => Problem::new(Code::Busy),
            Self::OverLimit { limit } => Problem::new(Code::OverLimit).with("limit", *limit),
            Self::SoldOut => Problem::new(Code::SoldOut).location(order()),
            Self::NotEnough { left } => Problem::new(Code::NotEnough)
                .with("left", *left)
                .location(order()),
            Self::TooEarly { ms } => Problem::new(Code::TooEarly).retry_after_secs(wait_secs(*ms)),
            Self::Paused => Problem::new(Code::Paused).location(order()),
            Self::Ended => Problem::new(Code::Ended).location(order()),
            Self::Denied(reason) => Problem::new(Code::Denied).detail(reason.clone()),
            Self::Healing => Problem::new(Code::Healing),
            Self::Loading => Problem::new(Code::Loading),
            Self::Unconfirmed => Problem::new(Code::Unconfirmed).location(order()),
            Self::Dependency(error) if error.is_defect() => Problem::new(Code::Internal),
            Self::Dependency(_) => Problem::new(Code::Unavailable),
        }
    }
}
