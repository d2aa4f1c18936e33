//! The black-box suite: Spike as its users see it, over HTTP.
//!
//! The library is what looks at answers: a [`client`] that lets no answer pass which the API's [`document`] does not
//! list, down to the members of its JSON ([`schema`]). The tests are in `tests/it`.

pub mod client;
pub mod document;
pub mod schema;
