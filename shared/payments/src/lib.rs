//! The port to a payment provider, the adapter that stands in for one, and what becomes of money that comes too late.
//!
//! This is the one port with a single adapter: a provider's takes its place by implementing [`Payments`].
//!
//! **No money without a record** (ADR 22). Whoever charges may die before it is recorded, and its buyer may never come
//! back. So whoever ends an order closes it at the provider too, and records what had been charged: from then on nothing
//! can be charged for it, however late the charge was on its way.

mod late;
mod test_mode;

use async_trait::async_trait;
use domain::{Money, OrderId, order::Payment};
use serde::{Deserialize, Serialize};

pub use late::owe;
pub use test_mode::TestMode;

/// A means of payment. Test mode has two, and moves no money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Always pays.
    TestApprove,
    /// Is always declined.
    TestDecline,
}

/// Why no money came.
#[derive(Debug, thiserror::Error)]
pub enum ChargeError {
    /// The provider refused; another method may do.
    #[error("declined")]
    Declined,
    /// The order was closed before anything was charged for it: no money has moved, and none will.
    #[error("closed")]
    Closed,
    /// The provider did not answer: the money may have come. The charge can be repeated.
    #[error("the payment provider did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The provider did not answer; nothing is known, and the call can be repeated.
#[derive(Debug, thiserror::Error)]
#[error("the payment provider did not answer")]
pub struct NoAnswer(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A payment provider. Every call is bounded by its adapter: one that takes longer than a few seconds is given up.
///
/// Of a charge and a closing at the same time the provider decides which came first.
#[async_trait]
pub trait Payments: Send + Sync {
    /// Charges the order's total. **Idempotent by order id**: a repetition answers with the same payment and moves no
    /// more money, also after the order was closed.
    async fn charge(
        &self,
        order_id: OrderId,
        total: Money,
        method: Method,
    ) -> Result<Payment, ChargeError>;

    /// Sees to it that nothing is charged for the order any more, and answers with what was charged before, even if
    /// whoever charged it never learned so. Idempotent; an order that the provider has never heard of is closed too.
    async fn close(&self, order_id: OrderId) -> Result<Option<Payment>, NoAnswer>;
}
