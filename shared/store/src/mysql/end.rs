//! Ending orders: the state changes and the claims go in one transaction.

use domain::{Order, OrderId, Timestamp, order::Transition};

use super::{
    MySqlStore,
    call::{Failure, token},
    claims,
    order_rows::find,
    orders::transitioned,
    session::Session,
};
use crate::{Error, Transitioned};

impl MySqlStore {
    /// [`crate::Orders::end`]. What the order holds never changes while it is placed, so it may be read before the
    /// transaction; the transaction decides.
    pub(super) async fn end_order(
        &self,
        id: OrderId,
        transition: Transition,
        now: Timestamp,
    ) -> Result<Transitioned, Error> {
        if transition == Transition::Pay {
            return Err(Error::Corrupt("a payment does not end an order".into()));
        }
        let token = token();
        self.call("orders.end", |mut session, _| async move {
            let found = find(&mut session, id).await?;
            let state = found
                .as_ref()
                .and_then(|found| found.order.state.after(transition));
            let (Some(found), Some(state)) = (found.as_ref(), state) else {
                return Ok(transitioned(found, token));
            };
            let ended = Order {
                state,
                ended_at: Some(now),
                released: false,
                ..found.order.clone()
            };
            if end(&mut session, &ended, now, token).await? {
                return Ok(Transitioned::Done(Box::new(ended)));
            }
            Ok(transitioned(find(&mut session, id).await?, token))
        })
        .await
    }
}

/// Writes the end where the order is still placed; whether it was.
async fn end(
    session: &mut Session,
    ended: &Order,
    now: Timestamp,
    token: [u8; 16],
) -> Result<bool, Failure> {
    session.begin().await?;
    let end = sqlx::query(
        "UPDATE orders SET state = ?, ended_at = ?, released = FALSE, due_at = ?, settled_by = ? \
         WHERE id = ? AND state = 'placed'",
    );
    let end = end.bind(ended.state.as_str()).bind(now.as_millis());
    let end = end.bind(now.as_millis()).bind(token.to_vec());
    let end = end.bind(ended.id.as_bytes().to_vec());
    if session.change(end).await? == 0 {
        session.roll_back().await?;
        return Ok(false);
    }
    if claims::delete(session, ended).await? != ended.units.len() + 1 {
        session.roll_back().await?;
        return Err(Failure::Refused(
            "claims.order_id: a placed order does not hold its claims".into(),
        ));
    }
    session.commit().await?;
    Ok(true)
}
