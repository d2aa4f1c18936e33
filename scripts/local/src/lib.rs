//! `local`.
