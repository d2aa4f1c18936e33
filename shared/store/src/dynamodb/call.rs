//! Requests: what their failures mean, and how they are repeated.
//!
//! Retries are ours, not the SDK's, because only here is it known which failures decide something. A failed condition is
//! an answer and is never repeated. A conflict, a throttle, a time-out or a lost connection decides nothing: the request
//! is repeated after a pause of random length ("full jitter", doubling up to a cap), a few times and for a few seconds at
//! most, and then the caller gets [`Error::Unavailable`].
//!
//! A transaction carries **one client request token per call**, made at random and kept across the call's repetitions.
//! So when the answer to a committed transaction is lost, the repetition is answered with success, and that is the truth:
//! this call did it. The token is never derived from the order: the engine would then answer the re-placement of an order
//! that was cancelled meanwhile with success for ten minutes.

use std::future::Future;

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::{CancellationReason, TransactWriteItem},
};
use rand::RngExt;

use super::{DynamoStore, item::Item};
use crate::{Error, backoff::Backoff};

/// What engines answer when they could not decide now. Answers with a status of 500 or above count as well.
const UNDECIDED: [&str; 12] = [
    "ExpiredTokenException",
    "InternalServerError",
    "LimitExceededException",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "ResourceNotFoundException",
    "ThrottlingError",
    "ThrottlingException",
    "TransactionConflict",
    "TransactionConflictException",
];

/// Why one request did not do what it asked for.
#[derive(Debug)]
pub(super) enum Failure {
    /// Its condition does not hold; the item as it is, if there is one.
    Condition(Option<Item>),
    /// The transaction was cancelled; a reason for each of its items.
    Cancelled(Vec<CancellationReason>),
    /// The engine answers, and takes no more of this now; it can be repeated.
    Throttled(Box<dyn std::error::Error + Send + Sync>),
    /// Nothing is known; it can be repeated.
    Undecided(Box<dyn std::error::Error + Send + Sync>),
    /// The engine refuses it: a defect.
    Refused(String),
}

impl<E> From<SdkError<E, HttpResponse>> for Failure
where
    E: std::error::Error
        + ProvideErrorMetadata
        + Into<aws_sdk_dynamodb::Error>
        + Send
        + Sync
        + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        use aws_sdk_dynamodb::Error as Service;
        let SdkError::ServiceError(answer) = error else {
            return Self::Undecided(Box::new(error));
        };
        let code = answer.err().code().unwrap_or_default().to_owned();
        let status = answer.raw().status().as_u16();
        match answer.into_err().into() {
            Service::ConditionalCheckFailedException(failed) => Self::Condition(failed.item),
            Service::TransactionCanceledException(cancelled) => {
                Self::Cancelled(cancelled.cancellation_reasons.unwrap_or_default())
            }
            error if status < 500 && is_undecided(&code) => Self::Throttled(Box::new(error)),
            error if status >= 500 => Self::Undecided(Box::new(error)),
            error => Self::Refused(format!("{code}: {}", error.message().unwrap_or_default())),
        }
    }
}

fn is_undecided(code: &str) -> bool {
    UNDECIDED.contains(&code) || code == "TransactionInProgressException"
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Undecided(source) | Failure::Throttled(source) => Self::Unavailable(source),
            Failure::Refused(reason) => Self::Corrupt(reason),
            Failure::Condition(_) => {
                Self::Corrupt("a request without a condition failed its condition".into())
            }
            Failure::Cancelled(_) => {
                Self::Corrupt("a request without a transaction was cancelled".into())
            }
        }
    }
}

/// Sends a request until something is decided. `request` is told which try it is, from 1.
pub(super) async fn retry<T, F, Sent>(mut request: F) -> Result<T, Failure>
where
    F: FnMut(u32) -> Sent,
    Sent: Future<Output = Result<T, Failure>>,
{
    let mut backoff = Backoff::new();
    loop {
        match request(backoff.tries()).await {
            Err(failure @ (Failure::Undecided(_) | Failure::Throttled(_))) => {
                tracing::debug!(
                    tries = backoff.tries(),
                    ?failure,
                    "the store did not decide"
                );
                if !backoff.pause().await {
                    return Err(failure);
                }
            }
            decided => return decided,
        }
    }
}

/// What the engine found on one item of a cancelled transaction.
#[derive(Debug)]
pub(super) enum Reason {
    /// Nothing against it.
    Fine,
    /// Its condition does not hold; the item as it is, if there is one.
    Failed(Option<Item>),
    /// A conflict with another request, or a throttle: nothing is known.
    Undecided,
}

impl Reason {
    fn read(reason: CancellationReason) -> Result<Self, Failure> {
        match reason.code.as_deref() {
            None | Some("None") => Ok(Self::Fine),
            Some("ConditionalCheckFailed") => Ok(Self::Failed(reason.item)),
            Some(code) if is_undecided(code) => Ok(Self::Undecided),
            Some(code) => Err(Failure::Refused(format!(
                "{code}: {}",
                reason.message.unwrap_or_default()
            ))),
        }
    }
}

/// Whether every reason is known, so that they can be weighed against each other.
pub(super) fn all_decided(reasons: &[Reason]) -> bool {
    !reasons
        .iter()
        .any(|reason| matches!(reason, Reason::Undecided))
}

impl DynamoStore {
    /// Writes all of `items` or none. `None`: written, now or by an earlier try of this call whose answer was lost.
    ///
    /// When the engine cancels, `weigh` reads the reasons (one for each item, in their order) and either decides, or
    /// answers `None` to have the transaction repeated.
    pub(super) async fn transact<T>(
        &self,
        items: Vec<TransactWriteItem>,
        weigh: impl Fn(Vec<Reason>) -> Option<Result<T, Error>> + Sync,
    ) -> Result<Option<T>, Error> {
        self.try_transact(items, weigh).await?.transpose()
    }

    /// The same, for those to whom it matters why nothing was decided.
    pub(super) async fn try_transact<T>(
        &self,
        mut items: Vec<TransactWriteItem>,
        weigh: impl Fn(Vec<Reason>) -> Option<Result<T, Error>> + Sync,
    ) -> Result<Option<Result<T, Error>>, Failure> {
        let token = format!("{:032x}", rand::rng().random::<u128>());
        for item in &mut items {
            self.name_table(item);
        }
        let (items, weigh, token) = (&items, &weigh, &token);
        let sent = retry(|_| async move {
            let request = self
                .client
                .transact_write_items()
                .set_transact_items(Some(items.clone()));
            let cancelled = match Box::pin(request.client_request_token(token).send())
                .await
                .map_err(Failure::from)
            {
                Ok(_) => return Ok(None),
                Err(Failure::Cancelled(reasons)) => reasons,
                Err(failure) => return Err(failure),
            };
            let conflict =
                || Failure::Undecided("the transaction is in conflict or throttled".into());
            let reasons: Vec<Reason> = cancelled
                .into_iter()
                .map(Reason::read)
                .collect::<Result<_, _>>()?;
            if reasons.len() != items.len() {
                return Err(conflict());
            }
            weigh(reasons).map(Some).ok_or_else(conflict)
        });
        sent.await
    }

    /// Parts of a transaction are made without knowing what the names of tables begin with.
    fn name_table(&self, item: &mut TransactWriteItem) {
        let tables = [
            item.put.as_mut().map(|it| &mut it.table_name),
            item.update.as_mut().map(|it| &mut it.table_name),
            item.delete.as_mut().map(|it| &mut it.table_name),
            item.condition_check.as_mut().map(|it| &mut it.table_name),
        ];
        for table in tables.into_iter().flatten() {
            *table = self.named(table);
        }
    }
}
