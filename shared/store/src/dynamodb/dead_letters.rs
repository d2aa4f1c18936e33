//! Dead letters. `came_at` is when a letter last arrived: one that is sent again and comes back meanwhile is not noted as
//! sent. Their listing carries keys only, because bodies are long; the letters of a page are read by key.

use async_trait::async_trait;
use domain::Timestamp;

use super::{
    DynamoStore,
    item::{Item, Row, item, number, optional, text, time},
    listing::{After, Listing},
    request::{Change, Changed},
    tables::DEAD_LETTERS,
};
use crate::{
    DeadLetter, DeadLetters, Error, Page,
    cursor::{cut, page_size, part, parts},
};

fn write(letter: &DeadLetter) -> Item {
    item([
        ("id", text(&letter.id)),
        ("body", text(&letter.body)),
        ("reason", text(&letter.reason)),
        ("received_at", time(letter.received_at)),
        ("came_at", time(letter.received_at)),
        ("redriven_at", optional(letter.redriven_at.map(time))),
        ("shelf", text("letters")),
    ])
}

fn read(row: &Row) -> Result<DeadLetter, Error> {
    Ok(DeadLetter {
        id: row.text("id")?.to_owned(),
        body: row.text("body")?.to_owned(),
        reason: row.text("reason")?.to_owned(),
        received_at: row.time("received_at")?,
        redriven_at: row.optional("redriven_at", Row::time)?,
    })
}

fn after(cursor: &str) -> Result<After, Error> {
    let [received_at, id] = parts("letters", cursor)?;
    if id.is_empty() || id.len() > 1024 {
        return Err(Error::Cursor);
    }
    Ok(After {
        sort: number(part::<i64>(received_at)?),
        id: id.to_owned(),
    })
}

#[async_trait]
impl DeadLetters for DynamoStore {
    async fn add_dead_letter(&self, letter: &DeadLetter) -> Result<(), Error> {
        let Some(there) = self.put(DEAD_LETTERS, write(letter)).await? else {
            return Ok(());
        };
        let came_at = (":came_at", time(letter.received_at));
        let (update, values) = match read(&there)?.redriven_at {
            None => ("SET #came_at = :came_at", vec![came_at]),
            Some(_) => (
                "SET #came_at = :came_at, #redriven_at = :not, #reason = :reason",
                vec![
                    came_at,
                    (":not", optional(None)),
                    (":reason", text(&letter.reason)),
                ],
            ),
        };
        let change = Change {
            table: DEAD_LETTERS,
            id: letter.id.clone(),
            update,
            only_if: "attribute_exists(#id)",
            values,
        };
        self.change(change).await.map(drop)
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, Error> {
        self.get(DEAD_LETTERS, id)
            .await?
            .map(|row| read(&row))
            .transpose()
    }

    async fn dead_letters_page(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<DeadLetter>, Error> {
        let after = cursor.map(after).transpose()?;
        let size = page_size(limit);
        let listing = Listing::of(
            (DEAD_LETTERS, "shelf"),
            ("shelf", text("letters")),
            "received_at",
        )
        .descending();
        let keys = self.list(&listing, after, size + 1).await?;
        let keys: Vec<(String, i64)> = keys
            .iter()
            .map(|key| Ok((key.text("id")?.to_owned(), key.number("received_at")?)))
            .collect::<Result<_, Error>>()?;
        let page = cut(keys, size, |(id, received_at)| {
            format!("letters.{received_at}.{id}")
        });
        let letters = self
            .get_all(
                DEAD_LETTERS,
                page.items.iter().map(|(id, _)| id.clone()).collect(),
            )
            .await?;
        let items = page
            .items
            .iter()
            .filter_map(|(id, _)| letters.get(id))
            .map(read);
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            next: page.next,
        })
    }

    async fn mark_redriven(&self, id: &str, sent_at: Timestamp) -> Result<bool, Error> {
        let change = Change {
            table: DEAD_LETTERS,
            id: id.to_owned(),
            update: "SET #redriven_at = :sent_at",
            only_if: "attribute_exists(#id) AND (attribute_not_exists(#came_at) OR #came_at <= :sent_at)",
            values: vec![(":sent_at", time(sent_at))],
        };
        Ok(matches!(self.change(change).await?, Changed::Done(_)))
    }
}
