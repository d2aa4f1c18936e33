//! Money of an order that has ended.

use domain::{
    OrderId, Timestamp,
    order::{Payment, Refund},
};
use store::{Refunded, Store};

/// Records on an ended order that `payment` is owed back, and tells operators, unless it is on record already.
///
/// Any number of callers may find the same payment; the first record stays.
pub async fn owe(
    store: &dyn Store,
    order_id: OrderId,
    payment: Payment,
    now: Timestamp,
) -> Result<Refunded, store::Error> {
    let refund = Refund {
        payment,
        recorded_at: now,
    };
    let refunded = store.refund(order_id, &refund).await?;
    if let Refunded::Recorded(order) = &refunded
        && order.refund.as_ref() == Some(&refund)
    {
        observe::REFUNDS.add(1, [&order.spike_id]);
        tracing::warn!(
            order.id = %order_id, spike.id = %order.spike_id, user.id = %order.user_id,
            payment.id = refund.payment.payment_id, "late money is owed back"
        );
    }
    Ok(refunded)
}
