//! The registry of problem codes. What a code means is written here and nowhere else: the documents, the
//! OpenAPI text and the pages under `/problems` are made from it.

use axum::http::StatusCode;
use serde_json::{Value, json};

macro_rules! codes {
    ($($variant:ident $status:ident $code:literal $title:literal: $meaning:literal $advice:literal)+) => {
        /// One kind of problem. Its text form is stable: clients branch on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)+
        }

        const CODES: &[Entry] = &[$(Entry {
            variant: Code::$variant,
            status: StatusCode::$status,
            code: $code,
            title: $title,
            meaning: $meaning,
            advice: $advice,
        },)+];
    };
}

struct Entry {
    variant: Code,
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    meaning: &'static str,
    advice: &'static str,
}

codes! {
    Malformed BAD_REQUEST "malformed" "Malformed request":
        "The path, the query or the body is not what this operation takes."
        "Compare the request with the API description. Unknown fields are refused."
    BadEvent BAD_REQUEST "bad-event" "Bad event":
        "The request is not an event, by CloudEvents, of a type and version that this function takes."
        "Do not send it again: it can never be handled."
    Unauthorized UNAUTHORIZED "unauthorized" "No valid access token":
        "The operation needs an access token, and there was none that is valid now."
        "Log in, or refresh the session, and send the token as `Authorization: Bearer`."
    BadCredentials UNAUTHORIZED "bad-credentials" "Wrong user name or password":
        "No user has this name and password together."
        "Check both and log in again."
    BadRefreshToken UNAUTHORIZED "bad-refresh-token" "Invalid refresh token":
        "The refresh token is unknown, spent, expired or revoked."
        "Log in again."
    PaymentDeclined PAYMENT_REQUIRED "payment-declined" "Payment declined":
        "The payment provider declined. The order is still yours until its time to pay is over."
        "Pay again before `pay_by`, by other means if need be."
    Forbidden FORBIDDEN "forbidden" "Not allowed":
        "You are known, and your roles do not allow this operation."
        "Ask an operator for the role."
    Denied FORBIDDEN "denied" "Not admitted to this spike":
        "An access rule of this spike does not admit you; `detail` gives its reason."
        "Read the reason. Trying again does not change it."
    NotFound NOT_FOUND "not-found" "No such page":
        "There is nothing at this address."
        "Check the address against the API description."
    BadToken NOT_FOUND "bad-token" "No such spike or path token":
        "The spike does not exist, or the path token is not yours or no longer valid."
        "Ask for a new path token and use it within a minute."
    NoSpike NOT_FOUND "no-spike" "No such spike":
        "There is no spike with this id."
        "List the spikes."
    NoOrder NOT_FOUND "no-order" "No such order":
        "You have no such order, or it is not written yet."
        "With `Retry-After`, ask again; without it, there is none."
    NoUser NOT_FOUND "no-user" "No such user":
        "There is no user with this id."
        "List the users."
    NoDeadLetter NOT_FOUND "no-dead-letter" "No such dead letter":
        "There is no dead letter with this id."
        "List the dead letters."
    MethodNotAllowed METHOD_NOT_ALLOWED "method-not-allowed" "Method not allowed":
        "The address exists and does not take this method."
        "Use one of the methods in `Allow`."
    BodyTimeout REQUEST_TIMEOUT "body-timeout" "The body took too long":
        "The body did not arrive in time, and the connection is closed."
        "Send the request again, in one go."
    SoldOut CONFLICT "sold-out" "Sold out":
        "No unit is left. Units of unpaid orders may come back."
        "If an earlier try of yours got no answer, read `Location` first: you may hold a unit."
    NotEnough CONFLICT "not-enough" "Not enough units left":
        "Fewer units are left than you asked for; `left` says how many."
        "Ask for at most `left` units."
    Paused CONFLICT "paused" "Paused":
        "The operator has paused this spike."
        "Wait for it to resume."
    UsernameTaken CONFLICT "username-taken" "User name taken":
        "Somebody has this user name."
        "Choose another."
    OrderPaid CONFLICT "order-paid" "Order already paid":
        "The order is paid and can no longer be cancelled."
        "Keep it."
    OrderEnded CONFLICT "order-ended" "Order already over":
        "The order was cancelled, has expired or was rejected. Late money is refunded."
        "Read the order for its state and refund."
    NotRedrivable CONFLICT "not-redrivable" "Not an event":
        "The dead letter is not an event that can be sent again; nobody would take it."
        "Read its body and reason to find out who sent it."
    SpikeStarted CONFLICT "spike-started" "Spike already started":
        "This can only be done before the spike starts."
        "Pause the spike, or end it by its times."
    SpikeEnded CONFLICT "spike-ended" "Spike already ended":
        "The spike is over and can no longer be changed."
        "Create another spike."
    Ended GONE "ended" "The sale is over":
        "The spike has ended; nothing can be bought any more."
        "If an earlier try of yours got no answer, read `Location`: you may have an order."
    VersionMismatch PRECONDITION_FAILED "version-mismatch" "Changed by somebody else":
        "The version in `If-Match` is not the current one."
        "Read it again, repeat your change on what you read, and send its `ETag`."
    TooLarge PAYLOAD_TOO_LARGE "too-large" "Body too large":
        "The body is larger than this operation takes, and the connection is closed."
        "Send less: 16 KiB unless the operation says otherwise."
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" "Unsupported content type":
        "The body's `Content-Type` is not one that this operation takes."
        "Send `Content-Type: application/json` unless the operation says otherwise."
    InvalidSetting UNPROCESSABLE_ENTITY "invalid-setting" "Invalid setting":
        "A value is well-formed and not possible; `field` says which."
        "Correct the field that is named."
    BadRule UNPROCESSABLE_ENTITY "bad-rule" "Bad access rule":
        "An access rule does not compile or is too costly; `rule` says which."
        "Correct the rule that is named."
    WeakPassword UNPROCESSABLE_ENTITY "weak-password" "Weak password":
        "The password is too short, too long, too common, or the user name."
        "Choose one of 8 to 128 characters that is hard to guess."
    OverLimit UNPROCESSABLE_ENTITY "over-limit" "More than one buyer may have":
        "The quantity is above what one buyer may have; `limit` says how many that is."
        "Ask for at most `limit` units."
    TooEarly TOO_EARLY "too-early" "Not open yet":
        "The spike has not started."
        "Come back after `Retry-After` seconds."
    VersionRequired PRECONDITION_REQUIRED "version-required" "If-Match is required":
        "The operation changes what others may be changing, so it has to say which version it read."
        "Read it, and send its `ETag` as `If-Match`."
    SlowDown TOO_MANY_REQUESTS "slow-down" "Too many requests":
        "You ask more often than is allowed."
        "Wait for `Retry-After` seconds."
    Internal INTERNAL_SERVER_ERROR "internal" "Internal error":
        "Something is wrong on our side, and has been logged."
        "Try again later."
    Busy SERVICE_UNAVAILABLE "busy" "Busy":
        "More requests came than can be looked at. Nothing was decided about yours."
        "Try again after `Retry-After` seconds."
    Unavailable SERVICE_UNAVAILABLE "unavailable" "Temporarily unavailable":
        "Something that this operation depends on does not answer."
        "Try again after `Retry-After` seconds. Repeating the request is safe."
    Loading SERVICE_UNAVAILABLE "loading" "Loading":
        "The spike is being loaded."
        "Try again after `Retry-After` seconds."
    Healing SERVICE_UNAVAILABLE "healing" "Healing":
        "The stock of this spike is being repaired, which takes a second or two."
        "Try again after `Retry-After` seconds."
    Unconfirmed SERVICE_UNAVAILABLE "unconfirmed" "Not confirmed yet":
        "Your units are reserved, and the order could not be queued for certain yet."
        "Repeat the request: the same reservation is used. `Location` shows how it goes."
}

impl Code {
    /// Every code, in the order of the registry.
    pub fn all() -> impl Iterator<Item = Self> {
        CODES.iter().map(|entry| entry.variant)
    }

    /// The code with this text form, for example `sold-out`.
    #[must_use]
    pub fn find(code: &str) -> Option<Self> {
        Self::all().find(|known| known.code() == code)
    }

    /// The stable text form, in kebab case.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.entry().code
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.entry().status
    }

    /// The fixed title.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// What it means, in a sentence or two.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.entry().meaning
    }

    /// What the client can do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        self.entry().advice
    }

    /// The header fields that answers with this code carry, always or at times.
    #[must_use]
    pub fn headers(self) -> &'static [&'static str] {
        match self {
            Self::Unconfirmed => &["Retry-After", "Location"],
            Self::NoOrder => &["Retry-After"],
            Self::SoldOut | Self::NotEnough | Self::Paused | Self::Ended => &["Location"],
            Self::MethodNotAllowed => &["Allow"],
            _ if self.status() == StatusCode::UNAUTHORIZED => &["WWW-Authenticate"],
            _ if self.always_retry_after() => &["Retry-After"],
            _ => &[],
        }
    }

    /// The extension members of documents with this code, each with an example. `refund` comes only if money is owed.
    #[must_use]
    pub fn members(self) -> Vec<(&'static str, Value)> {
        match self {
            Self::OrderEnded => vec![(
                "refund",
                json!({
                    "payment": {
                        "payment_id": "test-01900000-0000-7000-8000-000000000000",
                        "amount": {"amount_minor": 4900, "currency": "EUR"},
                        "paid_at": "2026-11-22T10:15:00.001Z",
                    },
                    "recorded_at": "2026-11-22T10:15:00.002Z",
                }),
            )],
            Self::NotEnough => vec![("left", json!(1))],
            Self::OverLimit => vec![("limit", json!(2))],
            Self::InvalidSetting => vec![("field", json!("stock"))],
            Self::BadRule => vec![("rule", json!("adults-only"))],
            _ => Vec::new(),
        }
    }

    /// 425, 429 and 503 always say when to come back.
    pub(super) fn always_retry_after(self) -> bool {
        let status = self.status();
        status == StatusCode::TOO_EARLY
            || status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// The table is written in the order of the variants, by the same macro.
    fn entry(self) -> &'static Entry {
        &CODES[self as usize]
    }
}
