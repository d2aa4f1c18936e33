//! Why Redis gave no answer.

use redis::{ErrorKind, RedisError};

/// Why Redis gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Away, too slow, still loading its file, or not the primary. The call may have happened or not; all of them can
    /// be repeated.
    #[error("Redis is unavailable")]
    Unavailable(#[source] RedisError),
    /// Redis has no memory left (`maxmemory`). Nothing was changed.
    #[error("Redis is out of memory")]
    OutOfMemory,
    /// An answer, or something that Redis keeps, is not what this version writes: a defect.
    #[error("Redis holds something unreadable: {0}")]
    Unreadable(String),
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        let detail = error.detail().unwrap_or_default();
        // Before version 7 the code of a command's failure stands inside of the script's.
        if error.code() == Some("OOM") || detail.contains("-OOM ") {
            return Self::OutOfMemory;
        }
        let ours = error.code() == Some("WRONGTYPE") || detail.contains("user_script");
        let parsing = matches!(
            error.kind(),
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType
        );
        if ours || parsing {
            return Self::Unreadable(error.to_string());
        }
        Self::Unavailable(error)
    }
}
