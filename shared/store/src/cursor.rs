//! Cursors and pages, as all adapters make them.
//!
//! A cursor is `KIND.SORT.ID`, where the page before it ended. It is made of what the listing is sorted by, so it stays
//! good while entries come and go, and it is read strictly: what no page handed out is [`Error::Cursor`].

use std::str::FromStr;

use crate::{Error, Page};

/// The most entries that one page has.
const LARGEST_PAGE: u32 = 1000;

/// How many entries a page may have that was asked to have `limit`.
pub(crate) fn page_size(limit: u32) -> usize {
    limit.clamp(1, LARGEST_PAGE) as usize
}

/// One entry more than the page has tells whether there is another page.
#[cfg(feature = "mysql")]
pub(crate) fn more_than(size: usize) -> u64 {
    size as u64 + 1
}

/// The parts of a cursor of this kind.
pub(crate) fn parts<'a, const N: usize>(
    kind: &str,
    cursor: &'a str,
) -> Result<[&'a str; N], Error> {
    let rest = cursor
        .strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix('.'))
        .ok_or(Error::Cursor)?;
    let parts: Vec<&str> = rest.splitn(N, '.').collect();
    parts.try_into().map_err(|_| Error::Cursor)
}

/// A part of a cursor, in the one spelling in which it was written.
pub(crate) fn part<T: FromStr + ToString>(text: &str) -> Result<T, Error> {
    text.parse()
        .ok()
        .filter(|value: &T| value.to_string() == text)
        .ok_or(Error::Cursor)
}

/// Cuts `items`, one more of which was asked for than the page has, to the page; `cursor` names an entry.
pub(crate) fn cut<T>(mut items: Vec<T>, size: usize, cursor: impl FnOnce(&T) -> String) -> Page<T> {
    let more = items.len() > size;
    items.truncate(size);
    let next = items.last().filter(|_| more).map(cursor);
    Page { items, next }
}
