//! Spikes.
//!
//! What the admin decides is one attribute, `settings`, as the JSON of the API. What a condition or an index looks at is
//! beside it as a number: `stock` and `ends_at` repeat the settings, and `live` is `top - retired`, because a condition
//! compares attributes but does not calculate (`live > stock`: there is still a unit to retire).

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Spike, SpikeId, Unit};

use super::{
    DynamoStore,
    call::{Reason, all_decided},
    claims::{self, read_holder},
    item::{Item, Row, flag, item, json, number, readable, text, time},
    listing::{After, Listing},
    request::{Change, Changed, put_if_absent},
    tables::{CLAIMS, SPIKES},
};
use crate::{
    Error, Mark, Page, Retirement, Spikes,
    cursor::{cut, page_size, part, parts},
};

/// What an admin decides, where `top` stays.
const SETTLED: &str = "SET #version = :version, #settings = :settings, #stock = :stock, #ends_at = :ends_at, \
                       #paused = :paused";
/// What an admin decides, with a higher `top`.
const RAISED: &str = "SET #version = :version, #settings = :settings, #stock = :stock, #ends_at = :ends_at, \
                      #paused = :paused, #top = :top, #live = :live";

/// The shelves of the index: live spikes, and those that are dropped from Redis.
const SHELVES: [&str; 2] = ["live", "past"];

fn shelf(spike: &Spike) -> &'static str {
    SHELVES[usize::from(spike.shelved)]
}

fn write(spike: &Spike) -> Result<Item, Error> {
    Ok(item([
        ("id", text(spike.id)),
        ("version", number(spike.version)),
        ("settings", json(SPIKES, "settings", &spike.settings)?),
        ("stock", number(spike.settings.stock)),
        ("ends_at", time(spike.settings.ends_at)),
        ("paused", flag(spike.paused)),
        ("top", number(spike.top)),
        ("retired", number(spike.retired)),
        ("live", number(spike.live_units())),
        ("epoch", number(spike.epoch)),
        ("closed", flag(spike.closed)),
        ("shelf", text(shelf(spike))),
        ("created_at", time(spike.created_at)),
    ]))
}

fn read(row: &Row) -> Result<Spike, Error> {
    Ok(Spike {
        id: row.word("id")?,
        version: row.number("version")?,
        settings: row.json("settings")?,
        paused: row.flag("paused")?,
        top: row.number("top")?,
        retired: row.number("retired")?,
        epoch: row.number("epoch")?,
        closed: row.flag("closed")?,
        shelved: match row.text("shelf")? {
            "live" => false,
            "past" => true,
            _ => return Err(row.corrupt("shelf")),
        },
        created_at: row.time("created_at")?,
    })
}

fn change(
    id: SpikeId,
    update: &'static str,
    only_if: &'static str,
    values: Vec<(&'static str, AttributeValue)>,
) -> Change {
    Change {
        table: SPIKES,
        id: id.to_string(),
        update,
        only_if,
        values,
    }
}

/// The same spike but for what others write: the sweeper's marks, loads and retirements.
fn same_but_for_marks(a: &Spike, b: &Spike) -> bool {
    let marks = Spike {
        retired: a.retired,
        epoch: a.epoch,
        closed: a.closed,
        shelved: a.shelved,
        ..b.clone()
    };
    marks == *a
}

impl DynamoStore {
    async fn shelf(
        &self,
        number: usize,
        after: Option<After>,
        most: usize,
    ) -> Result<Vec<Row>, Error> {
        let listing = Listing::of(
            (SPIKES, "shelf"),
            ("shelf", text(SHELVES[number])),
            "ends_at",
        );
        self.list(&listing, after, most).await
    }
}

#[async_trait]
impl Spikes for DynamoStore {
    async fn add_spike(&self, spike: &Spike) -> Result<bool, Error> {
        Ok(self.put(SPIKES, write(spike)?).await?.is_none())
    }

    async fn spike(&self, id: SpikeId) -> Result<Option<Spike>, Error> {
        self.get(SPIKES, &id.to_string())
            .await?
            .map(|row| read(&row))
            .transpose()
    }

    async fn live_spikes(&self) -> Result<Vec<Spike>, Error> {
        let rows = self.shelf(0, None, usize::MAX).await?;
        Ok(readable(&rows, read))
    }

    async fn spikes_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<Spike>, Error> {
        let (first, mut after) = match cursor {
            None => (0, None),
            Some(cursor) => {
                let [name, ends_at, id] = parts("spikes", cursor)?;
                let first = SHELVES
                    .iter()
                    .position(|shelf| *shelf == name)
                    .ok_or(Error::Cursor)?;
                let after = After {
                    sort: number(part::<i64>(ends_at)?),
                    id: part::<SpikeId>(id)?.to_string(),
                };
                (first, Some(after))
            }
        };
        let size = page_size(limit);
        let mut spikes = Vec::new();
        for number in first..SHELVES.len() {
            let rows = self
                .shelf(number, after.take(), size + 1 - spikes.len())
                .await?;
            for row in &rows {
                spikes.push(read(row)?);
            }
            if spikes.len() > size {
                break;
            }
        }
        Ok(cut(spikes, size, |last| {
            format!(
                "spikes.{}.{}.{}",
                shelf(last),
                last.settings.ends_at.as_millis(),
                last.id
            )
        }))
    }

    async fn replace_spike(&self, was: &Spike, now: &Spike) -> Result<bool, Error> {
        let mut values = vec![
            (":was_version", number(was.version)),
            (":was_closed", flag(was.closed)),
            (":version", number(now.version)),
            (":settings", json(SPIKES, "settings", &now.settings)?),
            (":stock", number(now.settings.stock)),
            (":ends_at", time(now.settings.ends_at)),
            (":paused", flag(now.paused)),
        ];
        let (update, only_if) = if now.top == was.top {
            (
                SETTLED,
                "#version = :was_version AND #closed = :was_closed AND #live >= :stock",
            )
        } else {
            values.extend([
                (":was_top", number(was.top)),
                (":was_retired", number(was.retired)),
                (":top", number(now.top)),
                (":live", number(now.top.saturating_sub(was.retired))),
            ]);
            (
                RAISED,
                "#version = :was_version AND #closed = :was_closed AND #top = :was_top AND #retired = :was_retired",
            )
        };
        match self.change(change(was.id, update, only_if, values)).await? {
            Changed::Done(_) => Ok(true),
            Changed::Refused {
                found: Some(row),
                perhaps_ours: true,
            } => Ok(same_but_for_marks(&read(&row)?, now)),
            Changed::Refused { .. } => Ok(false),
        }
    }

    async fn delete_spike(&self, id: SpikeId, version: u64) -> Result<bool, Error> {
        self.delete(change(
            id,
            "",
            "#version = :version",
            vec![(":version", number(version))],
        ))
        .await
    }

    async fn next_epoch(&self, id: SpikeId) -> Result<Option<u64>, Error> {
        let change = change(
            id,
            "SET #shelf = :live ADD #epoch :one",
            "attribute_exists(#id)",
            vec![(":one", number(1)), (":live", text(SHELVES[0]))],
        );
        match self.change(change).await? {
            Changed::Done(row) => row.number("epoch").map(Some),
            Changed::Refused { .. } => Ok(None),
        }
    }

    async fn mark_spike(&self, seen: &Spike, mark: Mark) -> Result<bool, Error> {
        let version = (":version", number(seen.version));
        let change = match mark {
            Mark::Closed => change(
                seen.id,
                "SET #closed = :mark",
                "#version = :version",
                vec![version, (":mark", flag(true))],
            ),
            Mark::Shelved => change(
                seen.id,
                "SET #shelf = :mark",
                "#version = :version AND #epoch = :epoch",
                vec![
                    version,
                    (":epoch", number(seen.epoch)),
                    (":mark", text(SHELVES[1])),
                ],
            ),
        };
        Ok(matches!(self.change(change).await?, Changed::Done(_)))
    }

    async fn retire_unit(&self, id: SpikeId, unit: Unit) -> Result<Retirement, Error> {
        let count = change(
            id,
            "ADD #retired :one, #live :less",
            "#live > #stock",
            vec![(":one", number(1)), (":less", number(-1))],
        );
        let items = vec![
            put_if_absent(CLAIMS, claims::of_house(id, unit))?,
            count.in_transaction()?,
        ];
        let refused = self.transact(items, |reasons| {
            all_decided(&reasons).then_some(())?;
            Some(match reasons.into_iter().next() {
                Some(Reason::Failed(claim)) => {
                    read_holder(&Row::new(CLAIMS, claim.unwrap_or_default())).map(Retirement::Taken)
                }
                _ => Ok(Retirement::TargetMet),
            })
        });
        Ok(refused.await?.unwrap_or(Retirement::Retired))
    }
}
