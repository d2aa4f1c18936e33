//! `login`.
