//! Dead letters. `came_at` is when a letter last arrived: one that is sent again and comes back meanwhile is not noted as
//! sent.

use async_trait::async_trait;
use domain::Timestamp;
use sqlx::mysql::MySqlRow;

use super::{MySqlStore, call::Failure, row::Row};
use crate::{
    DeadLetter, DeadLetters, Error, Page,
    cursor::{cut, more_than, page_size, part, parts},
};

/// The table.
const DEAD_LETTERS: &str = "dead_letters";

const BY_ID: &str =
    "SELECT id, body, reason, received_at, redriven_at FROM dead_letters WHERE id = ?";
const NEWEST: &str = "SELECT id, body, reason, received_at, redriven_at FROM dead_letters FORCE INDEX (shelf) \
     WHERE received_at <= ? AND (received_at < ? OR id < ?) ORDER BY received_at DESC, id DESC LIMIT ?";
const ADD: &str = "INSERT INTO dead_letters (id, body, reason, received_at, came_at, redriven_at) \
     VALUES (?, ?, ?, ?, ?, ?)";
/// Assignments are made from left to right: the reason is kept unless the letter had been sent again.
const COME_BACK: &str = "UPDATE dead_letters SET came_at = ?, reason = IF(redriven_at IS NULL, reason, ?), \
     redriven_at = NULL WHERE id = ?";

fn read(row: &MySqlRow) -> Result<DeadLetter, Error> {
    let row = Row::new(DEAD_LETTERS, row);
    Ok(DeadLetter {
        id: row.text("id")?.to_owned(),
        body: row.text("body")?.to_owned(),
        reason: row.text("reason")?.to_owned(),
        received_at: row.time("received_at")?,
        redriven_at: row.optional("redriven_at", Row::time)?,
    })
}

/// Where a page starts. The first one starts above every time, where ids do not count.
fn after(cursor: Option<&str>) -> Result<(i64, &str), Error> {
    let Some(cursor) = cursor else {
        return Ok((i64::MAX, ""));
    };
    let [received_at, id] = parts("letters", cursor)?;
    if id.is_empty() || id.len() > 1024 {
        return Err(Error::Cursor);
    }
    Ok((part(received_at)?, id))
}

#[async_trait]
impl DeadLetters for MySqlStore {
    async fn add_dead_letter(&self, letter: &DeadLetter) -> Result<(), Error> {
        let received_at = letter.received_at.as_millis();
        self.call("dead_letters.add", |mut session, _| async move {
            let add = sqlx::query(ADD).bind(letter.id.as_bytes());
            let add = add.bind(&letter.body).bind(&letter.reason);
            let add = add.bind(received_at).bind(received_at);
            let redriven_at = letter.redriven_at.map(Timestamp::as_millis);
            match session.execute(add.bind(redriven_at)).await {
                Err(Failure::Duplicate) => {}
                added => return added.map(drop),
            }
            let back = sqlx::query(COME_BACK).bind(received_at);
            let back = back.bind(&letter.reason).bind(letter.id.as_bytes());
            session.change(back).await.map(drop)
        })
        .await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, Error> {
        let row = self.call("dead_letters.get", |mut session, _| async move {
            session.row(sqlx::query(BY_ID).bind(id.as_bytes())).await
        });
        row.await?.map(|row| read(&row)).transpose()
    }

    async fn dead_letters_page(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<DeadLetter>, Error> {
        let (at, id) = after(cursor)?;
        let size = page_size(limit);
        let rows = self.call("dead_letters.list", |mut session, _| async move {
            let page = sqlx::query(NEWEST).bind(at).bind(at).bind(id.as_bytes());
            session.rows(page.bind(more_than(size))).await
        });
        let letters: Result<Vec<_>, _> = rows.await?.iter().map(read).collect();
        Ok(cut(letters?, size, |last| {
            format!("letters.{}.{}", last.received_at.as_millis(), last.id)
        }))
    }

    async fn mark_redriven(&self, id: &str, sent_at: Timestamp) -> Result<bool, Error> {
        let sent_at = sent_at.as_millis();
        let marked = self.call("dead_letters.mark_redriven", |mut session, _| async move {
            let mark = "UPDATE dead_letters SET redriven_at = ? WHERE id = ? AND came_at <= ?";
            let mark = sqlx::query(mark).bind(sent_at).bind(id.as_bytes());
            session.change(mark.bind(sent_at)).await
        });
        Ok(marked.await? > 0)
    }
}
