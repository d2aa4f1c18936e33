//! The adapter without a provider.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use cache::Timed;
use domain::{Clock, Money, OrderId, order::Payment};

use crate::{ChargeError, Method, NoAnswer, Payments};

/// How many orders test mode remembers, and for how long.
const MOST_REMEMBERED: usize = 10_000;
const REMEMBERED_FOR: Duration = Duration::from_hours(24);

/// The adapter without a provider: `test-approve` always pays, `test-decline` never does. No money moves.
///
/// It remembers orders in this process only: money of a call that nobody finished is forgotten at its end, and processes
/// that charge and close apart from each other know nothing of what the others did.
pub struct TestMode {
    /// What was charged for an order; nothing if it was closed before.
    orders: Timed<OrderId, Option<Payment>>,
    clock: Clock,
    /// Held from the look to the note, so that a charge and a closing come one after the other.
    deciding: Mutex<()>,
}

impl TestMode {
    /// Test mode that has charged nothing yet; payments are dated by `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            orders: Timed::new(MOST_REMEMBERED, std::sync::Arc::clone(&clock)),
            clock,
            deciding: Mutex::new(()),
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
        let _deciding = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.orders.get(&order_id), method) {
            (Some(Some(payment)), _) => Ok(payment),
            (Some(None), _) => Err(ChargeError::Closed),
            (None, Method::TestDecline) => Err(ChargeError::Declined),
            (None, Method::TestApprove) => {
                let payment = Payment {
                    payment_id: format!("test-{order_id}"),
                    amount: total,
                    paid_at: (self.clock)(),
                };
                let charged = Some(payment.clone());
                self.orders.insert_for(order_id, charged, REMEMBERED_FOR);
                Ok(payment)
            }
        }
    }

    async fn close(&self, order_id: OrderId) -> Result<Option<Payment>, NoAnswer> {
        let _deciding = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.orders.get(&order_id);
        if known.is_none() {
            self.orders.insert_for(order_id, None, REMEMBERED_FOR);
        }
        Ok(known.flatten())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::Timestamp;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    fn total() -> Money {
        Money {
            amount_minor: 200,
            currency: "EUR".parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn an_order_is_charged_once_and_a_closed_one_not_at_all() {
        let provider = TestMode::new(Arc::new(now));
        let (paid, closed) = (OrderId::mint(now(), [1; 10]), OrderId::mint(now(), [2; 10]));
        let charge = |id, method| provider.charge(id, total(), method);
        let declined = charge(paid, Method::TestDecline).await;
        assert!(matches!(declined, Err(ChargeError::Declined)));
        let payment = charge(paid, Method::TestApprove).await.unwrap();
        assert_eq!(provider.close(closed).await.unwrap(), None);
        assert_eq!(provider.close(paid).await.unwrap().as_ref(), Some(&payment));
        for method in [Method::TestApprove, Method::TestDecline] {
            let refused = charge(closed, method).await;
            assert!(matches!(refused, Err(ChargeError::Closed)), "{refused:?}");
            assert_eq!(charge(paid, method).await.unwrap(), payment);
        }
        assert_eq!(provider.close(closed).await.unwrap(), None);
    }
}
