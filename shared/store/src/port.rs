//! The port: one trait per aggregate, one error for all.
//!
//! Every method is atomic: it happens whole or not at all, and a caller that got [`Error::Unavailable`] may repeat it.
//! Such a call may have happened: then its repetition finds what it did, and says so (`Exists`, `NotPlaced`, `Taken`).
//! Within one call adapters repeat what decided nothing, and a lost answer does not make them report their own work as
//! another's.
//!
//! Listings are asked for 1 to 1000 entries; other limits are brought into that range.

use async_trait::async_trait;
use domain::{
    Order, OrderId, Spike, SpikeId, Timestamp, Unit, Units, User, UserId, Username,
    order::{Payment, Refund, Transition},
};

/// Why the store gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Away, throttled, or in conflict with another write even after retries. Nothing is known; it can be repeated.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A record that this version cannot read, or a request that the engine refuses: a defect.
    #[error("the store holds or was sent something unreadable: {0}")]
    Corrupt(String),
    /// A cursor that no page of this listing handed out.
    #[error("not a cursor of this listing")]
    Cursor,
}

/// A part of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next part starts, if there is one; opaque, safe in a URL's query.
    pub next: Option<String>,
}

/// Everything that Spike keeps.
pub trait Store: Users + Sessions + Spikes + Orders + DeadLetters + Send + Sync {}

/// Accounts.
#[async_trait]
pub trait Users: Send + Sync {
    /// Adds accounts; for each, whether it was added (`false`: its name, or its id, is another's). Each account is atomic
    /// by itself, and a name that is taken does not harm the others. An account that is there already under this very
    /// id and name counts as added and stays as it is, so that a call can be repeated.
    async fn add_users(&self, users: &[User]) -> Result<Vec<bool>, Error>;
    /// The account, read consistently.
    async fn user(&self, id: UserId) -> Result<Option<User>, Error>;
    /// The accounts of these names, in their order, read consistently. A name that nobody has takes as many round trips
    /// as one that somebody has, so that the time of a login does not tell one from the other.
    async fn users_by_name(&self, names: &[Username]) -> Result<Vec<Option<User>>, Error>;
    /// Replaces an account whose stored version is `user.version - 1`; whether it did. Id, name and creation stay as they
    /// are stored.
    async fn replace_user(&self, user: &User) -> Result<bool, Error>;
    /// Accounts in an order that stays the same between calls.
    async fn users_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<User>, Error>;
}

/// One refresh token. Its text is not kept, only the text's hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the token, in hexadecimal.
    pub token_hash: String,
    /// All tokens that descend from one login share it (a random text).
    pub family: String,
    /// Whose it is.
    pub user_id: UserId,
    /// The user's [`credentials_version`](User::credentials_version) at the login. Whoever rotates compares it.
    pub credentials_version: u64,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What came of handing in a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It is spent now, and its successor is valid.
    Rotated,
    /// No such token, or it has expired.
    Unknown,
    /// It had been spent before: its whole family is revoked now.
    Reused(UserId),
    /// Its family had been revoked before.
    Revoked,
}

/// Failed logins of one account name since the last success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoginAttempts {
    /// How many failed in a row; forgotten some time after the last.
    pub failures: u32,
    /// When the last one failed.
    pub last_failed_at: Option<Timestamp>,
}

/// Refresh tokens and failed logins.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Keeps the first token of a new family. Its hash and family are random: one that is there is [`Error::Corrupt`].
    async fn open_session(&self, session: &Session) -> Result<(), Error>;
    /// The token's record while it is not expired at `now`, whether spent or not.
    async fn session(&self, token_hash: &str, now: Timestamp) -> Result<Option<Session>, Error>;
    /// Spends `token_hash` and keeps `next`, in one transaction. A spent token revokes its family. `next` is of the same
    /// family and user (else [`Error::Corrupt`]). Of many at once one rotates, one finds the token
    /// [reused](Rotation::Reused), and to the others the family is [revoked](Rotation::Revoked).
    async fn rotate_session(
        &self,
        token_hash: &str,
        next: &Session,
        now: Timestamp,
    ) -> Result<Rotation, Error>;
    /// Revokes the token's whole family; unknown tokens are revoked already.
    async fn revoke_session(&self, token_hash: &str, now: Timestamp) -> Result<(), Error>;
    /// The failed logins of a name (which need not exist), without those older than a day at `now`.
    async fn login_attempts(&self, name: &Username, now: Timestamp)
    -> Result<LoginAttempts, Error>;
    /// Counts one more failed login of the name if its count is still the one that was `seen`; whether it was counted. Of
    /// many who saw the same one is. Where an answer was lost it may count though the answer is that it did not.
    async fn count_failed_login(
        &self,
        name: &Username,
        seen: LoginAttempts,
        now: Timestamp,
    ) -> Result<bool, Error>;
    /// Forgets the failed logins of the name.
    async fn clear_failed_logins(&self, name: &Username) -> Result<(), Error>;
}

/// A mark that the sweeper leaves on a spike. It does not raise the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Closed after its end.
    Closed,
    /// Dropped from Redis a day later: no longer live.
    Shelved,
}

/// What came of retiring a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retirement {
    /// The house holds the unit now.
    Retired,
    /// Somebody holds the unit (or the house did already).
    Taken(Holder),
    /// As many units are retired as the admin wants.
    TargetMet,
}

/// Spikes.
#[async_trait]
pub trait Spikes: Send + Sync {
    /// Adds a spike; whether it did (`false`: the id is taken).
    async fn add_spike(&self, spike: &Spike) -> Result<bool, Error>;
    /// The spike, read consistently.
    async fn spike(&self, id: SpikeId) -> Result<Option<Spike>, Error>;
    /// All spikes that are not shelved, by their end. The listing may lag behind writes by a moment. A spike that cannot
    /// be read is logged and left out, so that it holds up no other.
    async fn live_spikes(&self) -> Result<Vec<Spike>, Error>;
    /// All spikes, live ones first, then shelved ones, each by their end. May lag behind writes by a moment.
    async fn spikes_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<Spike>, Error>;
    /// Writes `now` where the stored spike has `was`'s version and `closed`; whether it did. `epoch`, `closed` and
    /// `shelved` stay as they are stored. A write that moves `top` also needs `was`'s `top` and `retired`, which it was
    /// reckoned from; one that leaves `top` alone leaves `retired` as it is stored, so that a lowering under way does not
    /// stand in its way, and needs as many units left as `now` has for its `stock`: nobody puts more on sale than a
    /// lowering has just left.
    async fn replace_spike(&self, was: &Spike, now: &Spike) -> Result<bool, Error>;
    /// Deletes the spike if it has this version; whether it did.
    async fn delete_spike(&self, id: SpikeId, version: u64) -> Result<bool, Error>;
    /// Adds one to the spike's `epoch` and answers with the sum; `None` for an unknown spike. No two calls get the same,
    /// but numbers may be left out. A shelved spike is live again by the same write: what is loaded is swept.
    async fn next_epoch(&self, id: SpikeId) -> Result<Option<u64>, Error>;
    /// Sets a mark where the stored spike has `seen`'s version and, to shelve it, `seen`'s epoch; whether it has the mark
    /// now. So nobody closes a sale that an admin has just prolonged, or shelves one that was just loaded.
    async fn mark_spike(&self, seen: &Spike, mark: Mark) -> Result<bool, Error>;
    /// Gives a free unit to the house: claim absent -> `#retire`, and `retired + 1` if `top - retired > stock`, in one
    /// transaction. A unit that is held is answered with its holder even where the target is met; an unknown spike has
    /// nothing to retire. The unit is one of 1..`top`.
    async fn retire_unit(&self, id: SpikeId, unit: Unit) -> Result<Retirement, Error>;
}

/// Who holds a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A live order.
    Order {
        /// The order.
        order_id: OrderId,
        /// Its owner.
        user_id: UserId,
    },
    /// The house: the unit is retired.
    House,
}

/// A unit that is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The unit.
    pub unit: Unit,
    /// Who holds it.
    pub holder: Holder,
}

/// What came of placing an order. Reasons are read in this order: the first that applies is the answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Placement {
    /// The order is written; it holds its units and its buyer's place.
    Written,
    /// An order of this id is there, in whatever state.
    Exists(Box<Order>),
    /// The buyer has another live order of this spike.
    BuyerHas(OrderId),
    /// These units are held by others; at least one.
    UnitsTaken(Vec<Claim>),
}

/// What came of writing a rejected order.
#[derive(Debug, Clone, PartialEq)]
pub enum Rejection {
    /// It is written.
    Written,
    /// An order of this id is there, in whatever state.
    Exists(Box<Order>),
}

/// What came of a transition.
#[derive(Debug, Clone, PartialEq)]
pub enum Transitioned {
    /// This call made it; the order as it is now.
    Done(Box<Order>),
    /// The order is not `placed`; the order as it is.
    NotPlaced(Box<Order>),
    /// There is no such order.
    Unknown,
}

/// What came of recording a refund.
#[derive(Debug, Clone, PartialEq)]
pub enum Refunded {
    /// It is recorded, now or before: an order has at most one.
    Recorded(Box<Order>),
    /// The order is live: nothing is owed.
    Live(Box<Order>),
    /// There is no such order.
    Unknown,
}

/// Orders, and the claims that keep them apart.
///
/// A live order holds a claim on each of its units and one on its buyer's place in the spike. No claim has two holders.
#[async_trait]
pub trait Orders: Send + Sync {
    /// Writes placed orders, each in one transaction with its claims: order absent, `(spike, user)` absent, each
    /// `(spike, unit)` absent. One answer for each, in their order; one that fails does not harm its neighbours.
    /// Orders that come together may be tried as one transaction first. Of two in one call that share an id, a buyer or a
    /// unit, either may come first.
    async fn place(&self, orders: &[Order]) -> Vec<Result<Placement, Error>>;
    /// Writes a rejected order, which holds nothing, if there is no order of its id.
    async fn reject(&self, order: &Order) -> Result<Rejection, Error>;
    /// The order, read consistently.
    async fn order(&self, id: OrderId) -> Result<Option<Order>, Error>;
    /// Those of these orders that exist, read consistently, in no particular order.
    async fn orders(&self, ids: &[OrderId]) -> Result<Vec<Order>, Error>;
    /// The user's live order of the spike, read consistently from the claim on their place.
    async fn live_order(&self, spike_id: SpikeId, user_id: UserId) -> Result<Option<Order>, Error>;
    /// The user's newest order of the spike, in whatever state. May lag behind writes by a moment, and may look no further
    /// back than the user's newest thousand orders of all spikes.
    async fn newest_order(
        &self,
        spike_id: SpikeId,
        user_id: UserId,
    ) -> Result<Option<Order>, Error>;
    /// The user's orders, newest first. May lag behind writes by a moment.
    async fn orders_page(
        &self,
        user_id: UserId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Order>, Error>;
    /// `placed -> paid`, with the payment. A paid order is never due, and keeps what it holds.
    async fn pay(&self, id: OrderId, payment: &Payment) -> Result<Transitioned, Error>;
    /// `placed -> cancelled | expired`; frees the units and the buyer's place in the same transaction.
    /// The order is unreleased (`released = false`), and due from `now` on, until [`Orders::mark_released`].
    ///
    /// # Panics
    /// Never; [`Transition::Pay`] is answered with [`Error::Corrupt`].
    async fn end(
        &self,
        id: OrderId,
        transition: Transition,
        now: Timestamp,
    ) -> Result<Transitioned, Error>;
    /// Notes that an ended order's units are back in Redis. Live and unknown orders are left alone.
    async fn mark_released(&self, id: OrderId) -> Result<(), Error>;
    /// Makes an ended, unreleased order due at `until` instead of when it ended, so that it stands behind those for which
    /// something can be done now (ADR 27). Live, released and unknown orders are left alone.
    async fn postpone(&self, id: OrderId, until: Timestamp) -> Result<(), Error>;
    /// Records on an ended order that its late payment is owed back, and lists the order under the refunds. The first
    /// record stays.
    async fn refund(&self, id: OrderId, refund: &Refund) -> Result<Refunded, Error>;
    /// Orders that have a refund, newest first. May lag behind writes by a moment.
    async fn refunds_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<Order>, Error>;
    /// Orders with something to do by `now`: placed past `pay_by`, ended and unreleased. At most `limit`, oldest
    /// first as far as known; may lag behind writes by a moment, so what is found is decided by the next write. An order
    /// that cannot be read is logged and left out, so that it holds up no other.
    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Order>, Error>;
    /// The claims on the units `first..=last` of a spike, read consistently, ascending. What is absent is free.
    async fn claims(&self, spike_id: SpikeId, first: Unit, last: Unit)
    -> Result<Vec<Claim>, Error>;
    /// The claims on just these units, read consistently, ascending.
    async fn claims_on(&self, spike_id: SpikeId, units: &Units) -> Result<Vec<Claim>, Error>;
}

/// An event that the queue gave up on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Derived from what arrived, so that the same letter is kept once; safe in a path.
    pub id: String,
    /// What arrived, as text (lossy if it was not UTF-8), at most 256 KiB.
    pub body: String,
    /// Why the queue gave up, as far as it said.
    pub reason: String,
    /// When it came to rest.
    pub received_at: Timestamp,
    /// When it was last sent again, if it has not come back since.
    pub redriven_at: Option<Timestamp>,
}

/// Dead letters.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Keeps a letter. One that is there already stays as it is; if it had been sent again, it has come back: it is no
    /// longer noted as sent, and its reason is the new one.
    async fn add_dead_letter(&self, letter: &DeadLetter) -> Result<(), Error>;
    /// The letter.
    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, Error>;
    /// Letters, newest first. May lag behind writes by a moment.
    async fn dead_letters_page(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<DeadLetter>, Error>;
    /// Notes that the letter was sent again at `sent_at`; whether it did: not of an unknown letter, nor of one that has
    /// come back after `sent_at`.
    async fn mark_redriven(&self, id: &str, sent_at: Timestamp) -> Result<bool, Error>;
}
