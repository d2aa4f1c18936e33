//! Spikes.
//!
//! What the admin decides is one column, `settings`, as the JSON of the API. What a condition or an index looks at is
//! beside it as a number: `stock` and `ends_at` repeat the settings.

use async_trait::async_trait;
use domain::{Spike, SpikeId, Unit};
use sqlx::mysql::MySqlRow;

use super::{
    MySqlStore,
    call::{Failure, token},
    claims::{self, Key},
    row::{Row, json, readable},
    session::{Session, Statement},
};
use crate::{
    Error, Mark, Page, Retirement, Spikes,
    cursor::{cut, more_than, page_size, part, parts},
};

/// The table.
const SPIKES: &str = "spikes";

macro_rules! columns {
    () => {
        "id, version, settings, paused, top, retired, epoch, closed, shelved, created_at"
    };
}

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM spikes WHERE id = ?");
const LIVE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM spikes FORCE INDEX (shelf) WHERE shelved = FALSE ORDER BY ends_at, id"
);
const SHELF: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM spikes FORCE INDEX (shelf) \
     WHERE shelved = ? AND ends_at >= ? AND (ends_at > ? OR id > ?) ORDER BY ends_at, id LIMIT ?"
);
const ADD: &str = "INSERT INTO spikes (id, version, settings, stock, ends_at, paused, top, retired, epoch, closed, \
     shelved, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// What an admin decides, where `top` stays. Sums and no differences: numbers without a sign have none below zero.
const SETTLE: &str = "UPDATE spikes SET version = ?, settings = ?, stock = ?, ends_at = ?, paused = ? \
     WHERE id = ? AND version = ? AND closed = ? AND top >= retired + ?";
/// What an admin decides, with a higher `top`.
const RAISE: &str = "UPDATE spikes SET version = ?, settings = ?, stock = ?, ends_at = ?, paused = ?, top = ? \
     WHERE id = ? AND version = ? AND closed = ? AND top = ? AND retired = ?";
/// The server answers with the number that `LAST_INSERT_ID` was given.
const NEXT_EPOCH: &str =
    "UPDATE spikes SET epoch = LAST_INSERT_ID(epoch + 1), shelved = FALSE WHERE id = ?";
const RETIRE: &str =
    "UPDATE spikes SET retired = retired + 1 WHERE id = ? AND top > retired + stock";

/// The shelves: live spikes, and those that are dropped from Redis.
const SHELVES: [&str; 2] = ["live", "past"];

fn read(row: &MySqlRow) -> Result<Spike, Error> {
    let row = Row::new(SPIKES, row);
    Ok(Spike {
        id: SpikeId::from_bytes(row.id("id")?),
        version: row.number("version")?,
        settings: row.json("settings")?,
        paused: row.flag("paused")?,
        top: row.small("top")?,
        retired: row.small("retired")?,
        epoch: row.number("epoch")?,
        closed: row.flag("closed")?,
        shelved: row.flag("shelved")?,
        created_at: row.time("created_at")?,
    })
}

fn about(sql: &'static str, id: SpikeId) -> Statement<'static> {
    sqlx::query(sql).bind(id.as_bytes().to_vec())
}

async fn find(session: &mut Session, id: SpikeId) -> Result<Option<Spike>, Failure> {
    let row = session.row(about(BY_ID, id)).await?;
    Ok(row.map(|row| read(&row)).transpose()?)
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

/// The statement that writes `now` over `was`.
fn replacement(was: &Spike, now: &Spike, settings: &str) -> Statement<'static> {
    let top_stays = now.top == was.top;
    let replace = sqlx::query(if top_stays { SETTLE } else { RAISE });
    let replace = replace.bind(now.version).bind(settings.to_owned());
    let replace = replace.bind(now.settings.stock);
    let replace = replace.bind(now.settings.ends_at.as_millis());
    let replace = replace.bind(now.paused);
    let replace = if top_stays {
        replace
    } else {
        replace.bind(now.top)
    };
    let replace = replace.bind(was.id.as_bytes().to_vec());
    let replace = replace.bind(was.version).bind(was.closed);
    if top_stays {
        replace.bind(now.settings.stock)
    } else {
        replace.bind(was.top).bind(was.retired)
    }
}

impl MySqlStore {
    async fn shelf(
        &self,
        shelved_as: usize,
        (ends_at, id): (i64, Option<SpikeId>),
        most: u64,
    ) -> Result<Vec<Spike>, Error> {
        let rows = self.call("spikes.list", |mut session, _| async move {
            let page = sqlx::query(SHELF).bind(shelved_as != 0).bind(ends_at);
            let id = id.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
            session.rows(page.bind(ends_at).bind(id).bind(most)).await
        });
        rows.await?.iter().map(read).collect()
    }
}

#[async_trait]
impl Spikes for MySqlStore {
    async fn add_spike(&self, spike: &Spike) -> Result<bool, Error> {
        let settings = json(SPIKES, "settings", &spike.settings)?;
        let settings = settings.as_str();
        self.call("spikes.add", |mut session, tries| async move {
            let add = about(ADD, spike.id).bind(spike.version).bind(settings);
            let add = add.bind(spike.settings.stock);
            let add = add.bind(spike.settings.ends_at.as_millis());
            let add = add.bind(spike.paused).bind(spike.top).bind(spike.retired);
            let add = add.bind(spike.epoch).bind(spike.closed).bind(spike.shelved);
            match session
                .execute(add.bind(spike.created_at.as_millis()))
                .await
            {
                Ok(_) => Ok(true),
                // By an earlier try of this call whose answer was lost, or by a call that writes the very same.
                Err(Failure::Duplicate) if tries > 1 => {
                    Ok(find(&mut session, spike.id).await?.as_ref() == Some(spike))
                }
                Err(Failure::Duplicate) => Ok(false),
                Err(failure) => Err(failure),
            }
        })
        .await
    }

    async fn spike(&self, id: SpikeId) -> Result<Option<Spike>, Error> {
        let found = self.call("spikes.get", |mut session, _| async move {
            find(&mut session, id).await
        });
        found.await
    }

    async fn live_spikes(&self) -> Result<Vec<Spike>, Error> {
        let rows = self.call("spikes.live", |mut session, _| async move {
            session.rows(sqlx::query(LIVE)).await
        });
        Ok(readable(SPIKES, &rows.await?, |row| read(row.inner())))
    }

    async fn spikes_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<Spike>, Error> {
        let start = (i64::MIN, None);
        let (first, mut after) = match cursor {
            None => (0, start),
            Some(cursor) => {
                let [name, ends_at, id] = parts("spikes", cursor)?;
                let first = SHELVES.iter().position(|shelved_as| *shelved_as == name);
                let after = (part(ends_at)?, Some(part::<SpikeId>(id)?));
                (first.ok_or(Error::Cursor)?, after)
            }
        };
        let size = page_size(limit);
        let mut spikes = Vec::new();
        for shelved_as in first..SHELVES.len() {
            let most = more_than(size - spikes.len());
            spikes.extend(self.shelf(shelved_as, after, most).await?);
            after = start;
            if spikes.len() > size {
                break;
            }
        }
        Ok(cut(spikes, size, |last| {
            let shelved_as = SHELVES[usize::from(last.shelved)];
            let ends_at = last.settings.ends_at.as_millis();
            format!("spikes.{shelved_as}.{ends_at}.{}", last.id)
        }))
    }

    async fn replace_spike(&self, was: &Spike, now: &Spike) -> Result<bool, Error> {
        let settings = json(SPIKES, "settings", &now.settings)?;
        let settings = settings.as_str();
        self.call("spikes.replace", |mut session, tries| async move {
            let replaced = session.change(replacement(was, now, settings)).await? > 0;
            if replaced || tries == 1 {
                return Ok(replaced);
            }
            // An earlier try may have done it: its answer was lost.
            let found = find(&mut session, was.id).await?;
            Ok(found.is_some_and(|found| same_but_for_marks(&found, now)))
        })
        .await
    }

    async fn delete_spike(&self, id: SpikeId, version: u64) -> Result<bool, Error> {
        self.call("spikes.delete", |mut session, tries| async move {
            let delete = about("DELETE FROM spikes WHERE id = ? AND version = ?", id);
            if session.change(delete.bind(version)).await? > 0 {
                return Ok(true);
            }
            Ok(tries > 1 && session.row(about(BY_ID, id)).await?.is_none())
        })
        .await
    }

    async fn next_epoch(&self, id: SpikeId) -> Result<Option<u64>, Error> {
        self.call("spikes.next_epoch", |mut session, _| async move {
            let counted = session.execute(about(NEXT_EPOCH, id)).await?;
            Ok((counted.rows_affected() > 0).then(|| counted.last_insert_id()))
        })
        .await
    }

    async fn mark_spike(&self, seen: &Spike, mark: Mark) -> Result<bool, Error> {
        let marked = self.call("spikes.mark", |mut session, _| async move {
            let mark = match mark {
                Mark::Closed => about(
                    "UPDATE spikes SET closed = TRUE WHERE id = ? AND version = ?",
                    seen.id,
                )
                .bind(seen.version),
                Mark::Shelved => about(
                    "UPDATE spikes SET shelved = TRUE WHERE id = ? AND version = ? AND epoch = ?",
                    seen.id,
                )
                .bind(seen.version)
                .bind(seen.epoch),
            };
            session.change(mark).await
        });
        Ok(marked.await? > 0)
    }

    async fn retire_unit(&self, id: SpikeId, unit: Unit) -> Result<Retirement, Error> {
        let token = token();
        self.call("spikes.retire_unit", |mut session, _| async move {
            retire(&mut session, id, unit, token).await
        })
        .await
    }
}

async fn retire(
    session: &mut Session,
    id: SpikeId,
    unit: Unit,
    token: [u8; 16],
) -> Result<Retirement, Failure> {
    let claim = claims::of_house(id, unit, token);
    session.begin().await?;
    match claims::insert(session, vec![claim]).await {
        Ok(()) => {}
        Err(Failure::Duplicate) => {
            session.roll_back().await?;
            return taken(session, claim.key, token).await;
        }
        Err(failure) => return Err(failure),
    }
    if session.change(about(RETIRE, id)).await? == 0 {
        session.roll_back().await?;
        return Ok(Retirement::TargetMet);
    }
    session.commit().await?;
    Ok(Retirement::Retired)
}

/// Who holds the unit: this very call, if an earlier try's answer was lost.
async fn taken(session: &mut Session, key: Key, token: [u8; 16]) -> Result<Retirement, Failure> {
    let claims = claims::select(session, vec![key]).await?;
    let claim = claims.first();
    let claim = claim.ok_or(Failure::Undecided("the unit has just come free".into()))?;
    Ok(if claim.user_id.is_none() && claim.order_id == token {
        Retirement::Retired
    } else {
        Retirement::Taken(claim.holder())
    })
}
