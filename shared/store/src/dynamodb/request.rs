//! The requests that the aggregates are made of: reads, conditional writes, parts of transactions.
//!
//! Expressions name every attribute as `#attribute`, since many of our names are reserved words of the engine.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::BuildError,
    types::{
        AttributeValue, Delete, KeysAndAttributes, Put, ReturnValue,
        ReturnValuesOnConditionCheckFailure as OldItem, TransactWriteItem, Update,
    },
};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    DynamoStore,
    call::{Failure, retry},
    item::{Item, Row, text},
};
use crate::{Error, backoff::Backoff};

/// How many items one batch may ask for.
const BATCH: usize = 100;
/// How many batches of one call are under way at once.
const BATCHES_AT_ONCE: usize = 8;

/// A conditional change, or deletion, of one item.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// The table.
    pub(super) table: &'static str,
    /// The item's key.
    pub(super) id: String,
    /// The update expression; empty for a deletion.
    pub(super) update: &'static str,
    /// The condition. Without a check for existence an absent item may satisfy it.
    pub(super) only_if: &'static str,
    /// The expressions' values.
    pub(super) values: Vec<(&'static str, AttributeValue)>,
}

/// What came of a [`Change`].
#[derive(Debug)]
pub(super) enum Changed {
    /// It is made; the item as it is now.
    Done(Row),
    /// The condition does not hold.
    Refused {
        /// The item as it is, if there is one.
        found: Option<Row>,
        /// Whether an earlier try of this call may have made the change: its answer was lost.
        perhaps_ours: bool,
    },
}

impl Change {
    fn names(&self) -> HashMap<String, String> {
        names(&[self.update, self.only_if])
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        let values = self
            .values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        Some(values.collect()).filter(|values: &HashMap<_, _>| !values.is_empty())
    }

    /// The change as a part of a transaction.
    pub(super) fn in_transaction(self) -> Result<TransactWriteItem, Error> {
        let update = Update::builder()
            .table_name(self.table)
            .key("id", text(&self.id))
            .update_expression(self.update)
            .condition_expression(self.only_if)
            .set_expression_attribute_names(Some(self.names()))
            .set_expression_attribute_values(self.values())
            .return_values_on_condition_check_failure(OldItem::AllOld)
            .build();
        Ok(TransactWriteItem::builder()
            .update(update.map_err(unbuildable)?)
            .build())
    }

    /// The deletion as a part of a transaction.
    pub(super) fn deletion_in_transaction(self) -> Result<TransactWriteItem, Error> {
        let delete = Delete::builder()
            .table_name(self.table)
            .key("id", text(&self.id))
            .condition_expression(self.only_if)
            .set_expression_attribute_names(Some(self.names()))
            .set_expression_attribute_values(self.values())
            .return_values_on_condition_check_failure(OldItem::AllOld)
            .build();
        Ok(TransactWriteItem::builder()
            .delete(delete.map_err(unbuildable)?)
            .build())
    }
}

/// The writing of an item whose key must be free, as a part of a transaction.
pub(super) fn put_if_absent(table: &'static str, item: Item) -> Result<TransactWriteItem, Error> {
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(#id)")
        .expression_attribute_names("#id", "id")
        .return_values_on_condition_check_failure(OldItem::AllOld)
        .build();
    Ok(TransactWriteItem::builder()
        .put(put.map_err(unbuildable)?)
        .build())
}

/// A request that lacks a part: a defect.
#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
pub(super) fn unbuildable(error: BuildError) -> Error {
    Error::Corrupt(error.to_string())
}

/// The attributes that the expressions name: `#state` stands for `state`.
pub(super) fn names(expressions: &[&str]) -> HashMap<String, String> {
    let parts = expressions
        .iter()
        .flat_map(|expression| expression.split('#').skip(1));
    parts
        .map(|part| {
            let end = part
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(part.len());
            (format!("#{}", &part[..end]), part[..end].to_owned())
        })
        .collect()
}

impl DynamoStore {
    /// The item, read consistently.
    pub(super) async fn get(&self, table: &'static str, id: &str) -> Result<Option<Row>, Error> {
        let found = retry(|_| async move {
            let get = self
                .client
                .get_item()
                .table_name(self.named(table))
                .key("id", text(id))
                .consistent_read(true);
            Ok(Box::pin(get.send()).await?.item)
        });
        Ok(found.await?.map(|item| Row::new(table, item)))
    }

    /// Those of these items that exist, by key, read consistently. The keys may repeat.
    pub(super) async fn get_all(
        &self,
        table: &'static str,
        mut ids: Vec<String>,
    ) -> Result<HashMap<String, Row>, Error> {
        ids.sort_unstable();
        ids.dedup();
        let batches: Vec<_> = ids
            .chunks(BATCH)
            .map(|batch| self.get_batch(table, batch))
            .collect();
        let rows = stream::iter(batches).buffer_unordered(BATCHES_AT_ONCE);
        rows.try_fold(HashMap::new(), |mut all, rows| async move {
            all.extend(rows);
            Ok(all)
        })
        .await
    }

    async fn get_batch(
        &self,
        table: &'static str,
        ids: &[String],
    ) -> Result<Vec<(String, Row)>, Error> {
        let keys = ids
            .iter()
            .map(|id| Item::from([("id".to_owned(), text(id))]));
        let wanted = KeysAndAttributes::builder()
            .consistent_read(true)
            .set_keys(Some(keys.collect()))
            .build();
        let mut wanted = HashMap::from([(self.named(table), wanted.map_err(unbuildable)?)]);
        let mut rows = Vec::with_capacity(ids.len());
        let mut backoff = Backoff::new();
        loop {
            let wanted_now = &wanted;
            let answer = retry(|_| async move {
                let request = self
                    .client
                    .batch_get_item()
                    .set_request_items(Some(wanted_now.clone()));
                Ok(Box::pin(request.send()).await?)
            });
            let answer = answer.await?;
            let found = answer
                .responses
                .unwrap_or_default()
                .remove(&self.named(table))
                .unwrap_or_default();
            if !found.is_empty() {
                backoff.progressed();
            }
            for item in found {
                let row = Row::new(table, item);
                rows.push((row.text("id")?.to_owned(), row));
            }
            wanted = answer.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                return Ok(rows);
            }
            if !backoff.pause().await {
                return Err(Error::Unavailable(
                    "the engine leaves keys of a batch unprocessed".into(),
                ));
            }
        }
    }

    /// Writes the item if its key is free. `None`: written; else the item that is there.
    pub(super) async fn put(&self, table: &'static str, item: Item) -> Result<Option<Row>, Error> {
        let item = &item;
        let put = retry(|tries| async move {
            let put = self
                .client
                .put_item()
                .table_name(self.named(table))
                .set_item(Some(item.clone()))
                .condition_expression("attribute_not_exists(#id)")
                .expression_attribute_names("#id", "id")
                .return_values_on_condition_check_failure(OldItem::AllOld);
            match Box::pin(put.send()).await.map_err(Failure::from) {
                Ok(_) => Ok(None),
                // Written by an earlier try of this call whose answer was lost, or by a call that writes the very same.
                Err(Failure::Condition(Some(old))) if tries > 1 && old == *item => Ok(None),
                Err(Failure::Condition(old)) => Ok(Some(Row::new(table, old.unwrap_or_default()))),
                Err(failure) => Err(failure),
            }
        });
        Ok(put.await?)
    }

    /// Makes the change where its condition holds.
    pub(super) async fn change(&self, change: Change) -> Result<Changed, Error> {
        let (table, change) = (change.table, &change);
        let made = retry(|tries| async move {
            let update = self
                .client
                .update_item()
                .table_name(self.named(change.table))
                .key("id", text(&change.id))
                .update_expression(change.update)
                .condition_expression(change.only_if)
                .set_expression_attribute_names(Some(change.names()))
                .set_expression_attribute_values(change.values())
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(OldItem::AllOld);
            match Box::pin(update.send()).await.map_err(Failure::from) {
                Ok(made) => Ok(Changed::Done(Row::new(
                    table,
                    made.attributes.unwrap_or_default(),
                ))),
                Err(Failure::Condition(old)) => {
                    let found = old.map(|item| Row::new(table, item));
                    Ok(Changed::Refused {
                        found,
                        perhaps_ours: tries > 1,
                    })
                }
                Err(failure) => Err(failure),
            }
        });
        Ok(made.await?)
    }

    /// Deletes the item where the condition holds; whether it is gone by this call.
    pub(super) async fn delete(&self, change: Change) -> Result<bool, Error> {
        let change = &change;
        let deleted = retry(|tries| async move {
            let delete = self
                .client
                .delete_item()
                .table_name(self.named(change.table))
                .key("id", text(&change.id))
                .condition_expression(change.only_if)
                .set_expression_attribute_names(Some(change.names()))
                .set_expression_attribute_values(change.values())
                .return_values_on_condition_check_failure(OldItem::AllOld);
            match Box::pin(delete.send()).await.map_err(Failure::from) {
                Ok(_) => Ok(true),
                Err(Failure::Condition(old)) => Ok(old.is_none() && tries > 1),
                Err(failure) => Err(failure),
            }
        });
        Ok(deleted.await?)
    }
}
