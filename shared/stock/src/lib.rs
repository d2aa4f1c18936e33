//! `stock`.
