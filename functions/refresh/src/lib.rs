//! `refresh`.
