//! Claims: one row for each unit that is not free, one for each buyer's place. An absent row is free.
//!
//! The key is (spike, kind, item). A claim says who holds it (`order_id`, `user_id`); where the house does, `user_id` is
//! empty and `order_id` is the token of the call that retired the unit.

use domain::{Order, OrderId, SpikeId, Unit, UserId};
use sqlx::{MySql, QueryBuilder, mysql::MySqlRow};

use super::{
    call::Failure,
    row::Row,
    session::{Session, Statement},
};
use crate::{Claim, Error, Holder};

/// The table.
const CLAIMS: &str = "claims";
/// How many rows one statement writes or asks for.
const TOGETHER: usize = 500;

/// What is claimed; sorted as the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) spike_id: SpikeId,
    pub(super) item: Item,
}

/// What of a spike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Item {
    /// The place of a buyer.
    Place(UserId),
    /// A unit.
    Unit(Unit),
}

/// A row that is to be written, or was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) key: Key,
    pub(super) order_id: [u8; 16],
    /// None: the house.
    pub(super) user_id: Option<UserId>,
}

/// The kinds, as the table has them.
const PLACE: u8 = 1;
const UNIT: u8 = 2;

impl Item {
    fn kind(self) -> u8 {
        match self {
            Self::Place(_) => PLACE,
            Self::Unit(_) => UNIT,
        }
    }

    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Place(user_id) => user_id.as_bytes().to_vec(),
            Self::Unit(unit) => unit.to_be_bytes().to_vec(),
        }
    }
}

impl Record {
    pub(super) fn holder(&self) -> Holder {
        self.user_id.map_or(Holder::House, |user_id| Holder::Order {
            order_id: OrderId::from_bytes(self.order_id),
            user_id,
        })
    }

    /// The claim, if it is one on a unit.
    pub(super) fn claim(&self) -> Option<Claim> {
        let Item::Unit(unit) = self.key.item else {
            return None;
        };
        let holder = self.holder();
        Some(Claim { unit, holder })
    }
}

/// The claims of a live order: its buyer's place, then its units.
pub(super) fn of_order(order: &Order) -> impl Iterator<Item = Record> + '_ {
    let units = order.units.iter().map(Item::Unit);
    let items = std::iter::once(Item::Place(order.user_id)).chain(units);
    items.map(|item| Record {
        key: Key {
            spike_id: order.spike_id,
            item,
        },
        order_id: *order.id.as_bytes(),
        user_id: Some(order.user_id),
    })
}

/// The house's claim on a unit.
pub(super) fn of_house(spike_id: SpikeId, unit: Unit, token: [u8; 16]) -> Record {
    let item = Item::Unit(unit);
    Record {
        key: Key { spike_id, item },
        order_id: token,
        user_id: None,
    }
}

pub(super) fn read(row: &MySqlRow) -> Result<Record, Error> {
    let row = Row::new(CLAIMS, row);
    let item = row.bytes("item")?;
    let item = match row.small("kind")? {
        kind if kind == u32::from(PLACE) => item
            .try_into()
            .ok()
            .map(UserId::from_bytes)
            .map(Item::Place),
        kind if kind == u32::from(UNIT) => {
            item.try_into().ok().map(u32::from_be_bytes).map(Item::Unit)
        }
        _ => return Err(row.corrupt("kind")),
    };
    Ok(Record {
        key: Key {
            spike_id: SpikeId::from_bytes(row.id("spike_id")?),
            item: item.ok_or_else(|| row.corrupt("item"))?,
        },
        order_id: row.id("order_id")?,
        user_id: match row.bytes("user_id")? {
            [] => None,
            _ => Some(UserId::from_bytes(row.id("user_id")?)),
        },
    })
}

/// Writes claims, each of which must be free: in the order of the keys, so that two who want the same wait for each other
/// and not in a circle.
pub(super) async fn insert(session: &mut Session, mut records: Vec<Record>) -> Result<(), Failure> {
    records.sort_unstable_by_key(|record| record.key);
    for records in records.chunks(TOGETHER) {
        let mut insert = QueryBuilder::<MySql>::new(
            "INSERT INTO claims (spike_id, kind, item, order_id, user_id) VALUES ",
        );
        for (index, record) in records.iter().enumerate() {
            insert.push(if index == 0 { "(" } else { ", (" });
            insert
                .push_bind(&record.key.spike_id.as_bytes()[..])
                .push(", ");
            insert.push_bind(record.key.item.kind()).push(", ");
            insert.push_bind(record.key.item.bytes()).push(", ");
            insert.push_bind(&record.order_id[..]).push(", ");
            let user_id = record.user_id.as_ref().map(UserId::as_bytes);
            insert
                .push_bind(user_id.map_or(&[][..], |id| &id[..]))
                .push(")");
        }
        session.execute(insert.build()).await?;
    }
    Ok(())
}

/// `spike_id = ? AND kind = ? AND item IN (..)`, for keys of one spike and kind each, joined by OR: each is a range of the
/// primary key.
fn push_keys(query: &mut QueryBuilder<MySql>, keys: &[Key]) {
    let alike = |a: &Key, b: &Key| (a.spike_id, a.item.kind()) == (b.spike_id, b.item.kind());
    for (number, group) in keys.chunk_by(alike).enumerate() {
        let Some(first) = group.first() else { continue };
        query.push(if number == 0 {
            "(spike_id = "
        } else {
            " OR (spike_id = "
        });
        query
            .push_bind(&first.spike_id.as_bytes()[..])
            .push(" AND kind = ");
        query.push_bind(first.item.kind()).push(" AND item IN (");
        for (index, key) in group.iter().enumerate() {
            query.push(if index == 0 { "" } else { ", " });
            query.push_bind(key.item.bytes());
        }
        query.push("))");
    }
}

/// Those of these claims that are there, in the order of their keys.
pub(super) async fn select(
    session: &mut Session,
    mut keys: Vec<Key>,
) -> Result<Vec<Record>, Failure> {
    keys.sort_unstable();
    keys.dedup();
    let mut records = Vec::new();
    for keys in keys.chunks(TOGETHER) {
        let mut select = QueryBuilder::<MySql>::new(
            "SELECT spike_id, kind, item, order_id, user_id FROM claims WHERE ",
        );
        push_keys(&mut select, keys);
        select.push(" ORDER BY spike_id, kind, item");
        for row in session.rows(select.build()).await? {
            records.push(read(&row)?);
        }
    }
    Ok(records)
}

/// Gives back what the order holds of these keys, and nothing that is another's; how much that was.
pub(super) async fn delete(session: &mut Session, order: &Order) -> Result<usize, Failure> {
    let mut keys: Vec<Key> = of_order(order).map(|record| record.key).collect();
    keys.sort_unstable();
    let mut deleted = 0;
    for keys in keys.chunks(TOGETHER) {
        let mut delete = QueryBuilder::<MySql>::new("DELETE FROM claims WHERE (");
        push_keys(&mut delete, keys);
        delete.push(") AND order_id = ");
        delete.push_bind(&order.id.as_bytes()[..]);
        deleted += usize::try_from(session.change(delete.build()).await?).unwrap_or(usize::MAX);
    }
    Ok(deleted)
}

/// The claims on a range of units.
pub(super) fn range(spike_id: SpikeId, first: Unit, last: Unit) -> Statement<'static> {
    sqlx::query(
        "SELECT spike_id, kind, item, order_id, user_id FROM claims \
         WHERE spike_id = ? AND kind = 2 AND item BETWEEN ? AND ? ORDER BY item",
    )
    .bind(spike_id.as_bytes().to_vec())
    .bind(first.to_be_bytes().to_vec())
    .bind(last.to_be_bytes().to_vec())
}
