//! The port to a payment provider, and the adapter that stands in for one.
//!
//! This is the one port with a single adapter: a provider's takes its place by implementing [`Payments`].

use std::time::Duration;

use async_trait::async_trait;
use cache::Timed;
use domain::{Clock, Money, OrderId, order::Payment};

use crate::pay::Method;

/// How many payments test mode remembers, and for how long.
const MOST_REMEMBERED: u64 = 10_000;
const REMEMBERED_FOR: Duration = Duration::from_hours(24);

/// Why no money came.
#[derive(Debug, thiserror::Error)]
pub enum ChargeError {
    /// The provider refused; another method may do.
    #[error("declined")]
    Declined,
    /// The provider did not answer: the money may have come. The charge can be repeated.
    #[error("the payment provider did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A payment provider.
#[async_trait]
pub trait Payments: Send + Sync {
    /// Charges the order's total. **Idempotent by order id**: a repetition answers with the same payment and moves no
    /// more money.
    async fn charge(
        &self,
        order_id: OrderId,
        total: Money,
        method: Method,
    ) -> Result<Payment, ChargeError>;

    /// The payment that an earlier [`Payments::charge`] of the order brought, even if its caller never learned so.
    async fn charged(&self, order_id: OrderId) -> Result<Option<Payment>, ChargeError>;
}

/// The adapter without a provider: `test-approve` always pays, `test-decline` never does. No money moves.
///
/// It remembers payments in this process only, so money of a call that nobody finished is forgotten at its end.
pub struct TestMode {
    charged: Timed<OrderId, Payment>,
    clock: Clock,
}

impl TestMode {
    /// Test mode that has charged nothing yet; payments are dated by `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            charged: Timed::new(MOST_REMEMBERED, std::sync::Arc::clone(&clock)),
            clock,
        }
    }
}

#[async_trait]
impl Payments for TestMode {
    async fn charge(
        &self,
        order_id: OrderId,
        total: Money,
        method: Method,
    ) -> Result<Payment, ChargeError> {
        if let Some(payment) = self.charged.get(&order_id) {
            return Ok(payment);
        }
        match method {
            Method::TestDecline => Err(ChargeError::Declined),
            Method::TestApprove => {
                let payment_id = format!("test-{order_id}");
                let payment = Payment {
                    payment_id,
                    amount: total,
                    paid_at: (self.clock)(),
                };
                self.charged
                    .insert_for(order_id, payment.clone(), REMEMBERED_FOR);
                Ok(payment)
            }
        }
    }

    async fn charged(&self, order_id: OrderId) -> Result<Option<Payment>, ChargeError> {
        Ok(self.charged.get(&order_id))
    }
}
