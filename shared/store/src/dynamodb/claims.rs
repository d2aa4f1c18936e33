//! Claims: one item for each unit that is not free, one for each buyer's place. An absent item is free.
//!
//! Keys are `SPIKE#unit#N` and `SPIKE#buyer#USER`, partition keys only: no two claims share anything that could be hot.
//! A claim says who holds it (`order_id`, `user_id`), so that a refused transaction names the true holder by itself. The
//! house holds as `#retire`, the name that Redis has for it.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::{Order, SpikeId, Unit, Units, UserId};

use super::{
    DynamoStore,
    item::{Item, Row, item, text},
    request::Change,
    tables::CLAIMS,
};
use crate::{Claim, Error, Holder};

/// The holder of retired units.
const HOUSE: &str = "#retire";

pub(super) fn unit_key(spike_id: SpikeId, unit: Unit) -> String {
    format!("{spike_id}#unit#{unit}")
}

pub(super) fn buyer_key(spike_id: SpikeId, user_id: UserId) -> String {
    format!("{spike_id}#buyer#{user_id}")
}

/// The keys of all that a live order holds: its buyer's place, then its units.
fn keys(order: &Order) -> impl Iterator<Item = String> + '_ {
    let units = order
        .units
        .iter()
        .map(|unit| unit_key(order.spike_id, unit));
    std::iter::once(buyer_key(order.spike_id, order.user_id)).chain(units)
}

/// The claims of a live order: its buyer's place, then its units.
pub(super) fn of_order(order: &Order) -> impl Iterator<Item = Item> + '_ {
    keys(order).map(|key| {
        item([
            ("id", text(key)),
            ("order_id", text(order.id)),
            ("user_id", text(order.user_id)),
        ])
    })
}

/// The house's claim on a unit.
pub(super) fn of_house(spike_id: SpikeId, unit: Unit) -> Item {
    item([
        ("id", text(unit_key(spike_id, unit))),
        ("order_id", text(HOUSE)),
    ])
}

/// What gives back all that an order holds, each claim only if the order does hold it.
pub(super) fn deletions(order: &Order) -> Result<Vec<TransactWriteItem>, Error> {
    let deletion = |id| Change {
        table: CLAIMS,
        id,
        update: "",
        only_if: "#order_id = :order_id",
        values: vec![(":order_id", text(order.id))],
    };
    keys(order)
        .map(|key| deletion(key).deletion_in_transaction())
        .collect()
}

pub(super) fn read_holder(row: &Row) -> Result<Holder, Error> {
    if row.text("order_id")? == HOUSE {
        return Ok(Holder::House);
    }
    Ok(Holder::Order {
        order_id: row.word("order_id")?,
        user_id: row.word("user_id")?,
    })
}

impl DynamoStore {
    pub(super) async fn read_claims(
        &self,
        spike_id: SpikeId,
        units: impl Iterator<Item = Unit> + Clone + Send,
    ) -> Result<Vec<Claim>, Error> {
        let keys = units.clone().map(|unit| unit_key(spike_id, unit)).collect();
        let rows: HashMap<String, Row> = self.get_all(CLAIMS, keys).await?;
        let claims = units.filter_map(|unit| {
            let row = rows.get(&unit_key(spike_id, unit))?;
            Some(read_holder(row).map(|holder| Claim { unit, holder }))
        });
        claims.collect()
    }

    pub(super) async fn read_claims_on(
        &self,
        spike_id: SpikeId,
        units: &Units,
    ) -> Result<Vec<Claim>, Error> {
        self.read_claims(spike_id, units.as_slice().iter().copied())
            .await
    }
}
