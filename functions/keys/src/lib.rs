//! `keys`.
