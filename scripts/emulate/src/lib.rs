//! What stands around the functions on AWS, on this machine: Lambda's Runtime API, the HTTP API, SQS, the scheduler, Secrets
//! Manager, DynamoDB and a Redis with TLS and a password.
//!
//! It is for tests and measurements: the binaries are those of `scripts/package-lambda`, started from their zips and set up by
//! `infra/terraform`'s own map of functions. What is ours to get right is here as AWS documents it: shapes, limits, one
//! request per instance, freezing, time limits, redelivery. What is AWS' to get right is not: access rights, the JWT
//! authorizer (the functions verify tokens themselves; this is `verify_tokens_at_edge = false`), throttles of the gateway,
//! signatures of requests, MD5 sums of messages.

pub mod capacity;
pub mod cloud;
pub mod gateway;
pub mod http;
pub mod lambda;
pub mod packages;
pub mod queue;
pub mod redis;
pub mod secrets;
pub mod tables;
pub mod terraform;
pub mod testing;

/// The region of everything.
pub const REGION: &str = "eu-central-1";
/// The account of everything.
pub const ACCOUNT: &str = "000000000000";

/// An id as AWS gives one to requests and messages.
#[must_use]
pub fn request_id() -> String {
    let hex = format!("{:032x}", rand::random::<u128>());
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}
