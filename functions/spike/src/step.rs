//! The steps of a purchase, as answers are counted by them: which step gave this one.

/// What Redis said a moment ago about the whole sale.
pub(crate) const FLAGS: &str = "flags";
/// The spike's bucket, and ids that are no spike.
pub(crate) const LIMITS: &str = "limits";
/// The access token.
pub(crate) const ACCESS_TOKEN: &str = "access-token";
/// The user's bucket.
pub(crate) const USER_LIMIT: &str = "user-limit";
/// The path token.
pub(crate) const PATH_TOKEN: &str = "path-token";
/// The body.
pub(crate) const BODY: &str = "body";
/// The round trip to Redis, with loads and verdicts; it answers replays of orders that are written, too.
pub(crate) const RESERVE: &str = "reserve";
/// The broker's acknowledgement.
pub(crate) const PUBLISH: &str = "publish";
