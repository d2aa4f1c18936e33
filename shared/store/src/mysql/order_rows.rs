//! The rows of orders: how they are found, read and written.

use std::collections::HashMap;

use domain::{Money, Order, OrderId, SpikeId, Timestamp, UserId};
use sqlx::{MySql, QueryBuilder, mysql::MySqlRow};

use super::{
    call::Failure,
    row::{Row, json},
    session::{Session, Statement},
};
use crate::Error;

/// The table.
pub(super) const ORDERS: &str = "orders";
/// How many ids one statement asks for.
const TOGETHER: usize = 500;

/// What [`read`] reads, of the table `orders o`.
macro_rules! columns {
    () => {
        "o.id, o.spike_id, o.user_id, o.quantity, o.units, o.state, o.reason, o.total_minor, o.currency, o.placed_at, \
         o.pay_by, o.ended_at, o.payment, o.refund, o.released, o.written_by, o.settled_by"
    };
}

pub(super) use columns;

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM orders o WHERE o.id = ?");
/// An order, and whose work it is.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) order: Order,
    /// The call that wrote it.
    pub(super) written_by: [u8; 16],
    /// The call that made it paid, cancelled or expired, if one has.
    pub(super) settled_by: Option<[u8; 16]>,
}

pub(super) fn read(row: &MySqlRow) -> Result<Stored, Error> {
    let row = Row::new(ORDERS, row);
    let order = Order {
        id: OrderId::from_bytes(row.id("id")?),
        spike_id: SpikeId::from_bytes(row.id("spike_id")?),
        user_id: UserId::from_bytes(row.id("user_id")?),
        quantity: row.small("quantity")?,
        units: row
            .text("units")?
            .parse()
            .map_err(|_| row.corrupt("units"))?,
        state: row.word("state")?,
        reason: row.optional("reason", Row::word)?,
        total: Money {
            amount_minor: row.number("total_minor")?,
            currency: row.word("currency")?,
        },
        placed_at: row.time("placed_at")?,
        pay_by: row.time("pay_by")?,
        ended_at: row.optional("ended_at", Row::time)?,
        payment: row.optional("payment", Row::json)?,
        refund: row.optional("refund", Row::json)?,
        released: row.flag("released")?,
    };
    Ok(Stored {
        order,
        written_by: row.id("written_by")?,
        settled_by: match row.bytes("settled_by")? {
            [] => None,
            _ => Some(row.id("settled_by")?),
        },
    })
}

/// A statement about one row, with the key first.
pub(super) fn about(sql: &'static str, id: OrderId) -> Statement<'static> {
    sqlx::query(sql).bind(id.as_bytes().to_vec())
}

/// The order, read consistently.
pub(super) async fn find(session: &mut Session, id: OrderId) -> Result<Option<Stored>, Failure> {
    let row = session.row(about(BY_ID, id)).await?;
    Ok(row.map(|row| read(&row)).transpose()?)
}

/// Those of these orders that are there. One that cannot be read harms no other.
pub(super) async fn select(
    session: &mut Session,
    ids: &[OrderId],
) -> Result<HashMap<OrderId, Result<Stored, Error>>, Failure> {
    let mut found = HashMap::new();
    for ids in ids.chunks(TOGETHER) {
        let mut select = QueryBuilder::<MySql>::new(concat!(
            "SELECT ",
            columns!(),
            " FROM orders o WHERE o.id IN ("
        ));
        for (index, id) in ids.iter().enumerate() {
            select.push(if index == 0 { "" } else { ", " });
            select.push_bind(&id.as_bytes()[..]);
        }
        select.push(")");
        for row in session.rows(select.build()).await? {
            let id = OrderId::from_bytes(Row::new(ORDERS, &row).id("id")?);
            found.insert(id, read(&row));
        }
    }
    Ok(found)
}

/// Writes orders whose ids must be free, in the order of their ids.
pub(super) async fn insert(
    session: &mut Session,
    orders: &[&Order],
    token: [u8; 16],
) -> Result<(), Failure> {
    let mut orders = orders.to_vec();
    orders.sort_unstable_by_key(|order| order.id);
    let mut insert = QueryBuilder::<MySql>::new(
        "INSERT INTO orders (id, spike_id, user_id, quantity, units, state, reason, total_minor, currency, placed_at, \
         pay_by, ended_at, payment, refund, refunded_at, released, due_at, written_by) VALUES ",
    );
    for (index, order) in orders.into_iter().enumerate() {
        insert.push(if index == 0 { "(" } else { ", (" });
        push_values(&mut insert, order, token)?;
        insert.push(")");
    }
    session.execute(insert.build()).await.map(drop)
}

fn push_values(
    insert: &mut QueryBuilder<MySql>,
    order: &Order,
    token: [u8; 16],
) -> Result<(), Error> {
    let payment = order.payment.as_ref();
    let payment = payment.map(|payment| json(ORDERS, "payment", payment));
    let refund = order.refund.as_ref();
    let refunded_at = refund.map(|refund| refund.recorded_at.as_millis());
    let refund = refund.map(|refund| json(ORDERS, "refund", refund));
    insert.push_bind(&order.id.as_bytes()[..]).push(", ");
    insert.push_bind(&order.spike_id.as_bytes()[..]).push(", ");
    insert.push_bind(&order.user_id.as_bytes()[..]).push(", ");
    insert.push_bind(order.quantity).push(", ");
    insert.push_bind(order.units.to_string()).push(", ");
    insert.push_bind(order.state.as_str()).push(", ");
    let reason = order.reason.map(domain::RejectReason::as_str);
    insert.push_bind(reason).push(", ");
    insert.push_bind(order.total.amount_minor).push(", ");
    insert
        .push_bind(order.total.currency.to_string())
        .push(", ");
    insert.push_bind(order.placed_at.as_millis()).push(", ");
    insert.push_bind(order.pay_by.as_millis()).push(", ");
    let ended_at = order.ended_at.map(Timestamp::as_millis);
    insert.push_bind(ended_at).push(", ");
    insert.push_bind(payment.transpose()?).push(", ");
    insert.push_bind(refund.transpose()?).push(", ");
    insert.push_bind(refunded_at).push(", ");
    insert.push_bind(order.released).push(", ");
    let due_at = order.due_at().map(Timestamp::as_millis);
    insert.push_bind(due_at).push(", ");
    insert.push_bind(token.to_vec());
    Ok(())
}
