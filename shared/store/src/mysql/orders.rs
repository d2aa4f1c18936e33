//! Orders: listings, and every write but [`super::place`] and [`super::end`].

use async_trait::async_trait;
use domain::{
    Order, OrderId, SpikeId, Timestamp, Unit, Units, UserId,
    order::{Payment, Refund, Transition},
};
use sqlx::mysql::MySqlRow;

use super::{
    MySqlStore,
    call::{Failure, token},
    claims::{self, Item, Key},
    order_rows::{ORDERS, Stored, about, columns, find, insert, read, select},
    row::{json, readable},
};
use crate::{
    Claim, Error, Orders, Page, Placement, Refunded, Rejection, Transitioned,
    cursor::{cut, more_than, page_size, part, parts},
};

/// Join and all, one statement sees one moment.
const BY_PLACE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM claims c JOIN orders o ON o.id = c.order_id \
     WHERE c.spike_id = ? AND c.kind = 1 AND c.item = ?"
);
const NEWEST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM orders o WHERE o.user_id = ? AND o.spike_id = ? ORDER BY o.id DESC LIMIT 1"
);
const BY_USER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM orders o FORCE INDEX (by_user) WHERE o.user_id = ? AND o.id < ? \
     ORDER BY o.id DESC LIMIT ?"
);
const REFUNDS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM orders o FORCE INDEX (refunds) \
     WHERE o.refunded_at <= ? AND (o.refunded_at < ? OR o.id < ?) ORDER BY o.refunded_at DESC, o.id DESC LIMIT ?"
);
const DUE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM orders o FORCE INDEX (due) WHERE o.due_at <= ? ORDER BY o.due_at, o.id LIMIT ?"
);

/// After every id.
const LAST: [u8; 16] = [u8::MAX; 16];

fn read_order(row: &MySqlRow) -> Result<Order, Error> {
    read(row).map(|written| written.order)
}

fn read_orders(rows: &[MySqlRow]) -> Result<Vec<Order>, Error> {
    rows.iter().map(read_order).collect()
}

/// What a change of a placed order came to, by whose work the order is now: a change that this call made in an earlier
/// try is its own.
pub(super) fn transitioned(found: Option<Stored>, token: [u8; 16]) -> Transitioned {
    match found {
        None => Transitioned::Unknown,
        Some(found) if found.settled_by == Some(token) => Transitioned::Done(Box::new(found.order)),
        Some(found) => Transitioned::NotPlaced(Box::new(found.order)),
    }
}

#[async_trait]
impl Orders for MySqlStore {
    async fn place(&self, orders: &[Order]) -> Vec<Result<Placement, Error>> {
        self.place_all(orders).await
    }

    async fn reject(&self, order: &Order) -> Result<Rejection, Error> {
        let token = token();
        self.call("orders.reject", |mut session, _| async move {
            match insert(&mut session, &[order], token).await {
                Ok(()) => return Ok(Rejection::Written),
                Err(Failure::Duplicate) => {}
                Err(failure) => return Err(failure),
            }
            let found = find(&mut session, order.id).await?;
            let found = found.ok_or(Failure::Undecided("the order is being written".into()))?;
            Ok(if found.written_by == token {
                Rejection::Written
            } else {
                Rejection::Exists(Box::new(found.order))
            })
        })
        .await
    }

    async fn order(&self, id: OrderId) -> Result<Option<Order>, Error> {
        let found = self.call("orders.get", |mut session, _| async move {
            find(&mut session, id).await
        });
        Ok(found.await?.map(|found| found.order))
    }

    async fn orders(&self, ids: &[OrderId]) -> Result<Vec<Order>, Error> {
        let found = self.call("orders.get_all", |mut session, _| async move {
            select(&mut session, ids).await
        });
        let found = found.await?.into_values();
        found.map(|found| Ok(found?.order)).collect()
    }

    async fn live_order(&self, spike_id: SpikeId, user_id: UserId) -> Result<Option<Order>, Error> {
        let row = self.call("orders.live", |mut session, _| async move {
            let by_place = sqlx::query(BY_PLACE).bind(spike_id.as_bytes().to_vec());
            session
                .row(by_place.bind(user_id.as_bytes().to_vec()))
                .await
        });
        row.await?.map(|row| read_order(&row)).transpose()
    }

    async fn newest_order(
        &self,
        spike_id: SpikeId,
        user_id: UserId,
    ) -> Result<Option<Order>, Error> {
        let row = self.call("orders.newest", |mut session, _| async move {
            let newest = sqlx::query(NEWEST).bind(user_id.as_bytes().to_vec());
            session.row(newest.bind(spike_id.as_bytes().to_vec())).await
        });
        row.await?.map(|row| read_order(&row)).transpose()
    }

    async fn orders_page(
        &self,
        user_id: UserId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Order>, Error> {
        let after = match cursor {
            None => LAST,
            Some(cursor) => {
                let [id] = parts("orders", cursor)?;
                *part::<OrderId>(id)?.as_bytes()
            }
        };
        let size = page_size(limit);
        let rows = self.call("orders.by_user", |mut session, _| async move {
            let page = sqlx::query(BY_USER).bind(user_id.as_bytes().to_vec());
            session
                .rows(page.bind(after.to_vec()).bind(more_than(size)))
                .await
        });
        let orders = read_orders(&rows.await?)?;
        Ok(cut(orders, size, |last| format!("orders.{}", last.id)))
    }

    async fn pay(&self, id: OrderId, payment: &Payment) -> Result<Transitioned, Error> {
        let (payment, token) = (json(ORDERS, "payment", payment)?, token());
        let payment = payment.as_str();
        self.call("orders.pay", |mut session, _| async move {
            let pay = sqlx::query(
                "UPDATE orders SET state = 'paid', payment = ?, due_at = NULL, settled_by = ? \
                 WHERE id = ? AND state = 'placed'",
            );
            let pay = pay.bind(payment).bind(token.to_vec());
            session.change(pay.bind(id.as_bytes().to_vec())).await?;
            Ok(transitioned(find(&mut session, id).await?, token))
        })
        .await
    }

    async fn end(
        &self,
        id: OrderId,
        transition: Transition,
        now: Timestamp,
    ) -> Result<Transitioned, Error> {
        self.end_order(id, transition, now).await
    }

    async fn mark_released(&self, id: OrderId) -> Result<(), Error> {
        self.call("orders.mark_released", |mut session, _| async move {
            let mark = "UPDATE orders SET released = TRUE, due_at = NULL \
                        WHERE id = ? AND state NOT IN ('placed', 'paid')";
            session.change(about(mark, id)).await.map(drop)
        })
        .await
    }

    async fn postpone(&self, id: OrderId, until: Timestamp) -> Result<(), Error> {
        self.call("orders.postpone", |mut session, _| async move {
            let postpone = sqlx::query(
                "UPDATE orders SET due_at = ? \
                 WHERE id = ? AND due_at IS NOT NULL AND state NOT IN ('placed', 'paid')",
            );
            let postpone = postpone.bind(until.as_millis());
            session
                .change(postpone.bind(id.as_bytes().to_vec()))
                .await
                .map(drop)
        })
        .await
    }

    async fn refund(&self, id: OrderId, refund: &Refund) -> Result<Refunded, Error> {
        let text = json(ORDERS, "refund", refund)?;
        let (text, recorded_at) = (text.as_str(), refund.recorded_at.as_millis());
        let found = self.call("orders.refund", |mut session, _| async move {
            let record = sqlx::query(
                "UPDATE orders SET refund = ?, refunded_at = ? \
                 WHERE id = ? AND state NOT IN ('placed', 'paid') AND refunded_at IS NULL",
            );
            let record = record.bind(text).bind(recorded_at);
            session.change(record.bind(id.as_bytes().to_vec())).await?;
            find(&mut session, id).await
        });
        Ok(match found.await? {
            None => Refunded::Unknown,
            Some(found) if found.order.state.is_live() => Refunded::Live(Box::new(found.order)),
            Some(found) => Refunded::Recorded(Box::new(found.order)),
        })
    }

    async fn refunds_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<Order>, Error> {
        let (at, id) = match cursor {
            None => (i64::MAX, LAST),
            Some(cursor) => {
                let [at, id] = parts("refunds", cursor)?;
                (part(at)?, *part::<OrderId>(id)?.as_bytes())
            }
        };
        let size = page_size(limit);
        let rows = self.call("orders.refunds", |mut session, _| async move {
            let page = sqlx::query(REFUNDS).bind(at).bind(at).bind(id.to_vec());
            session.rows(page.bind(more_than(size))).await
        });
        let orders = read_orders(&rows.await?)?;
        Ok(cut(orders, size, |last| {
            let refund = last.refund.as_ref();
            let at = refund.map_or(0, |refund| refund.recorded_at.as_millis());
            format!("refunds.{at}.{}", last.id)
        }))
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Order>, Error> {
        let most = page_size(limit) as u64;
        let rows = self.call("orders.due", |mut session, _| async move {
            let due = sqlx::query(DUE).bind(now.as_millis());
            session.rows(due.bind(most)).await
        });
        let written = readable(ORDERS, &rows.await?, |row| read(row.inner()));
        Ok(written.into_iter().map(|written| written.order).collect())
    }

    async fn claims(
        &self,
        spike_id: SpikeId,
        first: Unit,
        last: Unit,
    ) -> Result<Vec<Claim>, Error> {
        let rows = self.call("claims.range", |mut session, _| async move {
            session.rows(claims::range(spike_id, first, last)).await
        });
        let mut held = Vec::new();
        for row in rows.await? {
            held.extend(claims::read(&row)?.claim());
        }
        Ok(held)
    }

    async fn claims_on(&self, spike_id: SpikeId, units: &Units) -> Result<Vec<Claim>, Error> {
        let held = self.call("claims.get_all", |mut session, _| async move {
            let items = units.iter().map(Item::Unit);
            let keys = items.map(|item| Key { spike_id, item }).collect();
            claims::select(&mut session, keys).await
        });
        let held = held.await?;
        Ok(held.iter().filter_map(claims::Record::claim).collect())
    }
}
