//! The tables: their names, keys and indexes.
//!
//! | table | `id` | indexes (partition, sort) |
//! |---|---|---|
//! | `users` | `user#USER`, `name#NAME` | `directory` (`shard` 0..15 by the user's id, `id`): accounts only |
//! | `sessions` | `token#HASH`, `family#FAMILY`, `attempts#NAME` | none; rows end at `ttl` (seconds) |
//! | `spikes` | the spike | `shelf` (`shelf` = `live` or `past`, `ends_at`) |
//! | `orders` | the order | `by_user` (`user_id`, `id`); `due` (`due_shard` 0..15 by the order's id, `due_at`), sparse; `refunds` (`refunds` = `owed`, `refunded_at`), sparse |
//! | `claims` | `SPIKE#unit#N`, `SPIKE#buyer#USER` | none |
//! | `dead_letters` | the letter | `shelf` (`shelf` = `letters`, `received_at`), keys only: bodies are long |

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::BuildError,
    operation::create_table::CreateTableError,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        Projection, ProjectionType,
        ScalarAttributeType::{self, N, S},
        TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
    },
};

use super::{DynamoStore, request::unbuildable};
use crate::Error;

/// Accounts and the names that they hold.
pub(super) const USERS: &str = "users";
/// Refresh tokens, their families, and failed logins.
pub(super) const SESSIONS: &str = "sessions";
/// Spikes.
pub(super) const SPIKES: &str = "spikes";
/// Orders.
pub(super) const ORDERS: &str = "orders";
/// What live orders and the house hold.
pub(super) const CLAIMS: &str = "claims";
/// What the queue gave up on.
pub(super) const DEAD_LETTERS: &str = "dead_letters";

/// How many partitions an index has whose rows nothing else keeps apart.
pub(super) const SHARDS: u8 = 16;

/// One index: its name, its partition and sort attribute with their types, and what it carries.
struct Index(
    &'static str,
    (&'static str, ScalarAttributeType),
    (&'static str, ScalarAttributeType),
    ProjectionType,
);

fn tables() -> [(&'static str, Vec<Index>); 6] {
    use ProjectionType::{All, KeysOnly};
    [
        (
            USERS,
            vec![Index("directory", ("shard", N), ("id", S), All)],
        ),
        (SESSIONS, vec![]),
        (
            SPIKES,
            vec![Index("shelf", ("shelf", S), ("ends_at", N), All)],
        ),
        (
            ORDERS,
            vec![
                Index("by_user", ("user_id", S), ("id", S), All),
                Index("due", ("due_shard", N), ("due_at", N), All),
                Index("refunds", ("refunds", S), ("refunded_at", N), All),
            ],
        ),
        (CLAIMS, vec![]),
        (
            DEAD_LETTERS,
            vec![Index("shelf", ("shelf", S), ("received_at", N), KeysOnly)],
        ),
    ]
}

impl DynamoStore {
    /// Creates the tables that are not there, and waits until all can be used. Any number of processes may call it.
    pub async fn create_tables(&self) -> Result<(), Error> {
        for (table, indexes) in tables() {
            self.create_table(table, &indexes).await?;
            self.await_table(table).await?;
        }
        self.enable_ttl(SESSIONS).await
    }

    async fn create_table(&self, table: &str, indexes: &[Index]) -> Result<(), Error> {
        let mut attributes = vec![("id", S)];
        attributes.extend(
            indexes
                .iter()
                .flat_map(|index| [index.1.clone(), index.2.clone()]),
        );
        attributes.sort_by_key(|attribute| attribute.0);
        attributes.dedup();
        let attributes: Result<Vec<_>, _> = attributes
            .into_iter()
            .map(|(name, kind)| attribute(name, kind))
            .collect();
        let indexes: Result<Vec<_>, _> = indexes.iter().map(index).collect();
        let created = self
            .client
            .create_table()
            .table_name(self.named(table))
            .key_schema(key("id", KeyType::Hash).map_err(unbuildable)?)
            .set_attribute_definitions(Some(attributes.map_err(unbuildable)?))
            .set_global_secondary_indexes(
                Some(indexes.map_err(unbuildable)?).filter(|list| !list.is_empty()),
            )
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await;
        match created {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(CreateTableError::is_resource_in_use_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(Error::Unavailable(Box::new(error))),
        }
    }

    async fn await_table(&self, table: &str) -> Result<(), Error> {
        for _ in 0..120 {
            let described = self
                .client
                .describe_table()
                .table_name(self.named(table))
                .send()
                .await;
            let described = described.map_err(|error| Error::Unavailable(Box::new(error)))?;
            if described.table().and_then(|table| table.table_status())
                == Some(&TableStatus::Active)
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Err(Error::Unavailable(
            format!("the table {table} does not become active").into(),
        ))
    }

    async fn enable_ttl(&self, table: &str) -> Result<(), Error> {
        let described = self
            .client
            .describe_time_to_live()
            .table_name(self.named(table))
            .send()
            .await;
        let described = described.map_err(|error| Error::Unavailable(Box::new(error)))?;
        let status = described
            .time_to_live_description()
            .and_then(|ttl| ttl.time_to_live_status());
        if matches!(
            status,
            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
        ) {
            return Ok(());
        }
        let ttl = TimeToLiveSpecification::builder()
            .attribute_name("ttl")
            .enabled(true)
            .build();
        let update = self
            .client
            .update_time_to_live()
            .table_name(self.named(table));
        let updated = update
            .time_to_live_specification(ttl.map_err(unbuildable)?)
            .send()
            .await;
        updated
            .map(drop)
            .map_err(|error| Error::Unavailable(Box::new(error)))
    }
}

fn attribute(name: &str, kind: ScalarAttributeType) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(kind)
        .build()
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, BuildError> {
    KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind)
        .build()
}

fn index(
    Index(name, partition, sort, projection): &Index,
) -> Result<GlobalSecondaryIndex, BuildError> {
    GlobalSecondaryIndex::builder()
        .index_name(*name)
        .key_schema(key(partition.0, KeyType::Hash)?)
        .key_schema(key(sort.0, KeyType::Range)?)
        .projection(
            Projection::builder()
                .projection_type(projection.clone())
                .build(),
        )
        .build()
}
