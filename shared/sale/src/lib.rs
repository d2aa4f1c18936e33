//! `sale`.
