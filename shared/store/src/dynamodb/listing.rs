//! Listings: queries on indexes, page by page.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    DynamoStore,
    call::retry,
    item::{Item, Row, text},
    request::names,
};
use crate::Error;

/// One partition of an index.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub(super) table: &'static str,
    pub(super) index: &'static str,
    /// The partition attribute and its value.
    pub(super) partition: (&'static str, AttributeValue),
    /// The sort attribute.
    pub(super) sort: &'static str,
    /// Whether the highest come first.
    pub(super) descending: bool,
    /// Where to stop: the sort attribute is at most this.
    pub(super) at_most: Option<AttributeValue>,
}

/// What entries must have besides: an attribute and its value.
type Filter = (&'static str, AttributeValue);

impl Listing {
    /// The whole of the partition, ascending.
    pub(super) fn of(
        (table, index): (&'static str, &'static str),
        partition: (&'static str, AttributeValue),
        sort: &'static str,
    ) -> Self {
        Self {
            table,
            index,
            partition,
            sort,
            descending: false,
            at_most: None,
        }
    }

    /// The same with the highest first.
    pub(super) fn descending(self) -> Self {
        Self {
            descending: true,
            ..self
        }
    }

    /// The key that the index gives to an entry.
    fn place(&self, sort: AttributeValue, id: &str) -> Item {
        let partition = (self.partition.0.to_owned(), self.partition.1.clone());
        Item::from([
            partition,
            (self.sort.to_owned(), sort),
            ("id".to_owned(), text(id)),
        ])
    }
}

/// Where a page starts: after the entry of this `sort` and `id`.
#[derive(Debug, Clone)]
pub(super) struct After {
    pub(super) sort: AttributeValue,
    pub(super) id: String,
}

impl DynamoStore {
    /// Up to `most` entries after `after`. May lag behind writes by a moment, as all indexes do.
    pub(super) async fn list(
        &self,
        listing: &Listing,
        after: Option<After>,
        most: usize,
    ) -> Result<Vec<Row>, Error> {
        let mut start = after.map(|after| listing.place(after.sort, &after.id));
        let mut rows = Vec::new();
        loop {
            let left = most - rows.len();
            let (items, last) = self.query(listing, None, start, left).await?;
            rows.extend(
                items
                    .into_iter()
                    .take(left)
                    .map(|item| Row::new(listing.table, item)),
            );
            start = last;
            if rows.len() >= most || start.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Of the first `looked_at` entries those that pass the filter; one request, so that it is bounded.
    pub(super) async fn list_page(
        &self,
        listing: &Listing,
        filter: Filter,
        looked_at: u16,
    ) -> Result<Vec<Row>, Error> {
        let query = self.query(listing, Some(&filter), None, looked_at.into());
        let (items, _) = query.await?;
        let rows = items.into_iter().map(|item| Row::new(listing.table, item));
        Ok(rows.collect())
    }

    /// Looks at `most` entries at most, and answers with those that pass the filter.
    async fn query(
        &self,
        listing: &Listing,
        filter: Option<&Filter>,
        start: Option<Item>,
        most: usize,
    ) -> Result<(Vec<Item>, Option<Item>), Error> {
        let (partition, sort) = (listing.partition.0, listing.sort);
        let condition = match listing.at_most {
            None => format!("#{partition} = :partition"),
            Some(_) => format!("#{partition} = :partition AND #{sort} <= :at_most"),
        };
        let passes = filter.map(|(name, _)| format!("#{name} = :filter"));
        let mut query = self
            .client
            .query()
            .table_name(self.named(listing.table))
            .index_name(listing.index)
            .scan_index_forward(!listing.descending)
            .set_exclusive_start_key(start)
            .set_expression_attribute_names(Some(names(&[
                &condition,
                passes.as_deref().unwrap_or_default(),
            ])))
            .expression_attribute_values(":partition", listing.partition.1.clone())
            .key_condition_expression(condition)
            .set_filter_expression(passes)
            .limit(i32::try_from(most).unwrap_or(i32::MAX));
        if let Some((_, value)) = filter {
            query = query.expression_attribute_values(":filter", value.clone());
        }
        if let Some(at_most) = &listing.at_most {
            query = query.expression_attribute_values(":at_most", at_most.clone());
        }
        let query = &query;
        let answer = retry(|_| async move { Ok(Box::pin(query.clone().send()).await?) }).await?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }
}
