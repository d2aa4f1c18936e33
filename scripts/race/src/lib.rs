//! `race`.
